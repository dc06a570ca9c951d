//! Why a connection failed, by the types of the errors of the crates below. Error texts are not parsed, except that of
//! a proxy's refusal, which has a private type.

use std::{error::Error as StdError, fmt, io};

use tokio_rustls::rustls::{self, AlertDescription, CertificateError, PeerIncompatible};

use crate::text;

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host name could not be resolved.
    UnresolvedName,
    /// The connection was refused: nothing listens on the port.
    Refused,
    /// There is no route to the host.
    NoRoute,
    /// A timeout.
    TimedOut,
    /// The connection was closed.
    Ended,
    /// TLS failed.
    Tls(TlsCause),
    /// The proxy demands authentication.
    ProxyAuthRequired,
    /// The proxy refuses to connect the bridge to Jira.
    ProxyRefuses,
    /// Something else.
    Other,
}

/// What is wrong with the server's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsCause {
    /// Its certificate is signed by an authority that the bridge does not know.
    UnknownIssuer,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Its certificate is for these other names.
    OtherName(Vec<String>),
    /// Its certificate is for no name: it has no `subjectAltName`.
    NoName,
    /// Its certificate is that of a certificate authority.
    CaCertificate,
    /// Its certificate is not meant for servers.
    OtherPurpose,
    /// Its certificate is signed in a way that is not trusted.
    BadSignature,
    /// Its certificate has been revoked.
    Revoked,
    /// Its certificate cannot be used for another reason.
    Unusable,
    /// It does not speak TLS.
    NotTls,
    /// It speaks only older versions of TLS.
    TooOld,
    /// It has no cipher in common with the bridge.
    NoCipher,
    /// It demands a client certificate from the bridge.
    ClientCertificateRequired,
    /// It does not serve the host name that the bridge asked for.
    UnknownServerName,
    /// It closes the connection during the TLS handshake.
    Ended,
    /// Something else.
    Other,
}

/// A host name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("no address was found for {host}: {source}")]
struct NoSuchName {
    host: String,
    source: io::Error,
}

/// Resolves names as the system does, with an error type that [`Cause::of`] recognizes.
#[derive(Debug)]
pub(super) struct SystemResolver;

impl reqwest::dns::Resolve for SystemResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
            match found {
                Ok(found) => Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs),
                Err(source) => Err(NoSuchName { host, source }.into()),
            }
        })
    }
}

impl Cause {
    /// The cause of a failed request.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let mut found = Self::Other;
        let mut next: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::Tls(TlsCause::of(error));
            }
            if error.is::<NoSuchName>() {
                return Self::UnresolvedName;
            }
            next = error.source();
            if let Some(io) = error.downcast_ref::<io::Error>() {
                found = Self::of_io(io).unwrap_or(found);
                // The error that it wraps, which its `source()` skips.
                next = io.get_ref().map(|inner| inner as &(dyn StdError + 'static)).or(next);
            } else if found == Self::Other {
                found = Self::of_tunnel(&error.to_string()).unwrap_or(found);
            }
        }
        found
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only some kinds are a cause of their own")]
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Some(Self::NoRoute),
            io::ErrorKind::TimedOut => Some(Self::TimedOut),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Some(Self::Ended),
            _ => None,
        }
    }

    /// The cause in a proxy's answer to CONNECT, by its text: hyper-util's error type is private.
    fn of_tunnel(words: &str) -> Option<Self> {
        match words.strip_prefix("tunnel error: ")? {
            "proxy authorization required" => Some(Self::ProxyAuthRequired),
            "unsuccessful" => Some(Self::ProxyRefuses),
            _ => None,
        }
    }
}

impl TlsCause {
    fn of(error: &rustls::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only some errors are a cause of their own")]
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::ExtendedMasterSecretExtensionRequired,
            )
            | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::TooOld,
            rustls::Error::PeerIncompatible(_)
            | rustls::Error::AlertReceived(
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
            ) => Self::NoCipher,
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::NoCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificateRequired,
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => Self::UnknownServerName,
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "later versions may add variants")]
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                Self::NoName
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::OtherName(presented.iter().take(5).map(|name| plain(name)).collect())
            }
            CertificateError::NotValidForName => Self::OtherName(vec![]),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::OtherPurpose
            }
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::BadSignature,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
                Some(webpki::Error::CaUsedAsEndEntity) => Self::CaCertificate,
                Some(_) => Self::Unusable,
                // The system's verifier uses a private type, and only for this.
                None => Self::OtherPurpose,
            },
            _ => Self::Unusable,
        }
    }
}

/// `jira.example` from `DnsName("jira.example")`.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    text::truncate(&text::single_line(inner.trim_matches('"')), 80)
}

/// What is wrong and what to do about it, as the end of a sentence about Jira's server.
impl fmt::Display for TlsCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => {
                "its certificate is signed by an authority that is not known here; put the PEM file of that authority \
                 into jira.ca_file, or have the server send its whole chain"
            }
            Self::Expired => {
                "its certificate has expired; have Jira's administrator renew it, and check whether this machine's clock is \
                 right"
            }
            Self::NotYetValid => {
                "its certificate is not valid yet; check whether this machine's clock is right, or have Jira's administrator \
                 replace it"
            }
            Self::OtherName(names) if names.is_empty() => {
                "its certificate is for another name; put the name that it is for into jira.url"
            }
            Self::OtherName(names) => {
                let names = names.join(", ");
                return write!(
                    f,
                    "its certificate is for another name; put one that it is for into jira.url: {names}"
                );
            }
            Self::NoName => {
                "its certificate names no host in subjectAltName, and a common name does not count; have Jira's \
                 administrator issue one that does"
            }
            Self::CaCertificate => {
                "its certificate is that of an authority (CA:TRUE), which no server may use; have Jira's administrator \
                 issue one for the server, and put that of the authority into jira.ca_file"
            }
            Self::OtherPurpose => {
                "its certificate is not meant for servers; have Jira's administrator issue one with the extended key usage \
                 serverAuth"
            }
            Self::BadSignature => {
                "its certificate is signed in a way that does not count, such as SHA-1 or a short key; have Jira's \
                 administrator issue one with SHA-256, and RSA of 2,048 bits or more or ECDSA"
            }
            Self::Revoked => "its certificate has been revoked; have Jira's administrator replace it",
            Self::Unusable => {
                "its certificate cannot be used; have Jira's administrator issue one of X.509 version 3 with subjectAltName"
            }
            Self::NotTls => {
                "it does not speak TLS; put http:// instead of https:// into jira.url, or the port that does speak it"
            }
            Self::TooOld => {
                "it speaks only versions of TLS that are too old; have Jira's administrator turn on TLS 1.2 or 1.3"
            }
            Self::NoCipher => {
                "it has no cipher in common with the bridge; have Jira's administrator turn on ECDHE with AES-GCM or \
                 ChaCha20"
            }
            Self::ClientCertificateRequired => {
                "it wants a certificate from the bridge, which has none; have Jira's administrator let the bridge in \
                 without one, or put another address into jira.url"
            }
            Self::UnknownServerName => {
                "it does not know the name that it is asked for; put the name that people have in their browser into \
                 jira.url"
            }
            Self::Ended => {
                "it ends the connection while TLS begins; check whether a firewall is in the way, and whether the server has \
                 TLS 1.2 or 1.3 turned on"
            }
            Self::Other => "TLS failed",
        })
    }
}
