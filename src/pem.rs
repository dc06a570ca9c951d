//! Certificates and keys in PEM as users have them: with a byte order mark or in UTF-16, with Windows line ends, with
//! text around them, or in a bundle with unusable certificates. Errors never contain a file's contents.

use std::path::Path;

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::ParsedCertificate,
};

/// The certificates of a file.
#[derive(Debug)]
pub struct Bundle {
    /// The usable certificates; never empty.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Why each of the others cannot be used.
    pub skipped: Vec<String>,
}

/// A section of a file.
struct PemSection {
    label: String,
    body: String,
    /// Whether it has its END line.
    is_complete: bool,
}

/// Logs a warning for each skipped certificate.
pub fn log_skipped(key: &'static str, skipped: &[String]) {
    for what in skipped {
        tracing::warn!("{key}: {what}; the others in the file are used");
    }
}

/// The certificate authorities in a file.
///
/// # Errors
/// If the file cannot be read, or has no usable certificate.
pub fn authorities(file: &Path) -> Result<Bundle, String> {
    let usable =
        |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    read(file, usable).map(|(found, _)| found)
}

/// A server's certificate chain, its own certificate first.
///
/// # Errors
/// If the file cannot be read, or the first certificate cannot be used.
pub fn certificate_chain(file: &Path) -> Result<Bundle, String> {
    let (found, first) = read(file, |certificate| ParsedCertificate::try_from(certificate).is_ok())?;
    match first {
        Some(what) => Err(format!("{what}, but the first certificate must be the server's own")),
        None => Ok(found),
    }
}

/// The private key in a file.
///
/// # Errors
/// If the file cannot be read, or has no private key without a passphrase.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = text(file)?;
    let keys = sections(&text).into_iter().filter(|section| section.label.ends_with("PRIVATE KEY"));
    let (mut locked, mut broken) = (false, false);
    for section in keys {
        if section.label == "ENCRYPTED PRIVATE KEY" || section.body.contains("ENCRYPTED") {
            locked = true;
            continue;
        }
        match PrivateKeyDer::from_pem_slice(section.pem(&section.label).as_bytes()) {
            Ok(key) if section.is_complete => return Ok(key),
            Ok(_) | Err(_) => broken = true,
        }
    }
    let shown = file.display();
    Err(if broken {
        format!(
            "{shown} holds an incomplete private key; put all of it there, from its first line to its last"
        )
    } else if locked {
        format!(
            "{shown} holds a private key with a passphrase; write it without: openssl pkey -in FILE -out NEW"
        )
    } else if is_der(file) {
        format!("{shown} is in DER; write it in PEM: openssl pkey -inform der -in FILE -out NEW")
    } else {
        format!("{shown} holds no private key in PEM; put the file of the certificate's key there")
    })
}

/// The certificates of a file, and why the first one cannot be used, if it cannot.
fn read(
    file: &Path,
    is_usable: impl Fn(&CertificateDer<'static>) -> bool,
) -> Result<(Bundle, Option<String>), String> {
    let text = text(file)?;
    let shown = file.display();
    let (mut certificates, mut skipped, mut first) = (vec![], vec![], None);
    let known = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    let found = sections(&text).into_iter().filter(|section| known.contains(&section.label.as_str()));
    for (nth, section) in found.enumerate() {
        let why = match CertificateDer::from_pem_slice(section.pem("CERTIFICATE").as_bytes()) {
            _ if section.label.starts_with("TRUSTED") => "is in OpenSSL's own form (TRUSTED CERTIFICATE)",
            _ if !section.is_complete => "is incomplete: its last line is missing",
            Err(_) => "is incomplete, or not PEM",
            Ok(certificate) if is_usable(&certificate) => {
                certificates.push(certificate);
                continue;
            }
            Ok(_) => "cannot be understood",
        };
        let what = format!("the {} certificate in {shown} {why}", ordinal(nth + 1));
        if nth == 0 {
            first = Some(what.clone());
        }
        skipped.push(what);
    }
    match (certificates.is_empty(), skipped.as_slice()) {
        (false, _) => Ok((Bundle { certificates, skipped }, first)),
        (true, []) if is_der(file) => {
            Err(format!("{shown} is in DER; write it in PEM: openssl x509 -inform der -in FILE -out NEW"))
        }
        (true, []) => Err(format!("{shown} holds no certificate in PEM")),
        (true, all) => {
            let all = all.join(", ").replace(&format!(" in {shown}"), "");
            Err(format!("{shown} holds no certificate that can be used: {all}"))
        }
    }
}

/// Whether a file begins as certificates and keys in DER do: with a sequence that has one or two extra length bytes.
fn is_der(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|bytes| matches!(bytes.as_slice(), [0x30, 0x81 | 0x82, ..]))
}

/// The file as text, with `\n` as line ends.
fn text(file: &Path) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let utf16 = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let pairs = bytes.as_chunks::<2>().0;
        String::from_utf16_lossy(&pairs.iter().map(|pair| number(*pair)).collect::<Vec<_>>())
    };
    let text = match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        all => String::from_utf8_lossy(all).into_owned(),
    };
    Ok(text.trim_start_matches('\u{FEFF}').replace('\r', "\n"))
}

/// The sections between BEGIN and END lines. Other text is ignored.
fn sections(text: &str) -> Vec<PemSection> {
    let mut sections: Vec<PemSection> = vec![];
    let mut open: Option<PemSection> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let label = |mark: &str| line.strip_prefix(mark).and_then(|rest| rest.strip_suffix("-----"));
        if let Some(label) = label("-----BEGIN ") {
            sections.extend(open.take());
            open = Some(PemSection { label: label.to_owned(), body: String::new(), is_complete: false });
        } else if let Some(label) = label("-----END ") {
            if let Some(mut section) = open.take() {
                section.is_complete = section.label == label;
                sections.push(section);
            }
        } else if let Some(section) = &mut open {
            section.body.push_str(line);
            section.body.push('\n');
        }
    }
    sections.extend(open);
    sections
}

impl PemSection {
    fn pem(&self, label: &str) -> String {
        format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", self.body)
    }
}

fn ordinal(number: usize) -> String {
    let end = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name);
        std::fs::read_to_string(file).unwrap()
    }

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn utf16(text: &str) -> Vec<u8> {
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn every_encoding_and_line_end_is_read() {
        let [ca, own, key] = ["ca.crt.pem", "jira.crt.pem", "jira.key.pem"].map(fixture);
        let plain = format!("{own}{ca}{key}");
        let bags = format!(
            "Bag Attributes\n    friendlyName: jira\nsubject=CN = jira\n{own}Bag Attributes: <Empty>\n# and\n{ca}Key Attributes\n{key}"
        );
        let indented: String = plain.lines().map(|line| format!("    {line}  \n")).collect();
        for bytes in [
            plain.clone().into_bytes(),
            format!("\u{FEFF}{plain}").into_bytes(),
            plain.replace('\n', "\r\n").into_bytes(),
            plain.replace('\n', "\r").into_bytes(),
            format!("\u{FEFF}{}", bags.replace('\n', "\r\n")).into_bytes(),
            bags.into_bytes(),
            indented.into_bytes(),
            utf16(&plain),
            plain.trim_end().as_bytes().to_vec(),
        ] {
            let file = written(&bytes);
            for found in [authorities(file.path()), certificate_chain(file.path())] {
                let Bundle { certificates, skipped } = found.unwrap();
                assert_eq!(
                    (certificates.len(), skipped.len()),
                    (2, 0),
                    "{}",
                    String::from_utf8_lossy(&bytes)
                );
            }
            assert!(super::private_key(file.path()).is_ok());
        }
    }

    #[test]
    fn an_unusable_certificate_is_named_by_its_position() {
        let [ca, own, key] = ["ca.crt.pem", "jira.crt.pem", "jira.key.pem"].map(fixture);
        let cut = |text: &str| text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>();
        let section =
            |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        for (bad, why) in [
            (cut(&own), "is incomplete: its last line is missing"),
            (section("!!! no base 64 !!!"), "is incomplete, or not PEM"),
            (section("bm8gY2VydGlmaWNhdGU="), "cannot be understood"),
            (
                own.replace(" CERTIFICATE", " TRUSTED CERTIFICATE"),
                "is in OpenSSL's own form (TRUSTED CERTIFICATE)",
            ),
        ] {
            let file = written(format!("{own}{ca}{bad}{key}{ca}").as_bytes());
            let named = format!("the 3rd certificate in {} {why}", file.path().display());
            for found in [authorities(file.path()), certificate_chain(file.path())] {
                let Bundle { certificates, skipped } = found.unwrap();
                assert_eq!((certificates.len(), skipped), (3, vec![named.clone()]));
            }
            let first = written(format!("{bad}{ca}").as_bytes());
            assert_eq!(authorities(first.path()).unwrap().certificates.len(), 1);
            let error = certificate_chain(first.path()).unwrap_err();
            assert!(error.starts_with("the 1st certificate in ") && error.contains(why), "{error}");
            let alone = written(bad.as_bytes());
            let error = authorities(alone.path()).unwrap_err();
            assert!(error.contains("holds no certificate that can be used: the 1st "), "{error}");
        }
    }

    #[test]
    fn a_missing_certificate_or_key_is_an_error() {
        let [own, key] = ["jira.crt.pem", "jira.key.pem"].map(fixture);
        let shown = |file: &tempfile::NamedTempFile, error: String| {
            error.replace(&file.path().display().to_string(), "FILE")
        };
        for text in ["", "\u{FEFF}", "a letter", key.as_str()] {
            let file = written(text.as_bytes());
            let error = authorities(file.path()).unwrap_err();
            assert_eq!(shown(&file, error), "FILE holds no certificate in PEM");
        }
        for text in ["", own.as_str()] {
            let file = written(text.as_bytes());
            let error = super::private_key(file.path()).unwrap_err();
            let words = "FILE holds no private key in PEM; put the file of the certificate's key there";
            assert_eq!(shown(&file, error), words);
        }
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        for text in [encrypted.as_str(), old] {
            let file = written(text.as_bytes());
            let words = "FILE holds a private key with a passphrase; write it without: openssl pkey -in FILE -out NEW";
            assert_eq!(shown(&file, super::private_key(file.path()).unwrap_err()), words);
        }
        let der = written(&CertificateDer::from_pem_slice(own.as_bytes()).unwrap());
        let words = "FILE is in DER; write it in PEM: openssl x509 -inform der -in FILE -out NEW";
        assert_eq!(shown(&der, certificate_chain(der.path()).unwrap_err()), words);
        let words = "FILE is in DER; write it in PEM: openssl pkey -inform der -in FILE -out NEW";
        assert_eq!(shown(&der, super::private_key(der.path()).unwrap_err()), words);
        let file = written(key.lines().next().unwrap().as_bytes());
        let error = super::private_key(file.path()).unwrap_err();
        assert_eq!(
            shown(&file, error),
            "FILE holds an incomplete private key; put all of it there, from its first line to its last"
        );
        assert!(
            certificate_chain(Path::new("/nowhere/none.pem"))
                .unwrap_err()
                .starts_with("cannot read /nowhere/none.pem: ")
        );
    }

    #[test]
    fn ordinals_have_the_right_ending() {
        let words: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 112, 123].map(ordinal).into();
        assert_eq!(words, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "123rd"]);
    }
}
