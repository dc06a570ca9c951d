//! PURE: why Jira denies the bridge access, in Jira's own words. Not every 403 is about the token; then a new token
//! does not help.

use std::fmt;

use super::request::Operation;

/// Why Jira denies the bridge access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The user or the token is wrong, as far as Jira says.
    Credentials,
    /// The account is locked until a person has solved a CAPTCHA.
    Captcha,
    /// Logging in with a password is disabled.
    Passwords,
    /// Jira takes a token without a user for an app's token.
    App,
    /// No access token is given to the OAuth client.
    Client,
    /// Jira does not accept the OAuth client's access token, not even a new one.
    AccessToken,
    /// The bridge's IP address is not allowed.
    Address,
    /// The site is suspended or deactivated.
    Suspended,
    /// The license has expired.
    License,
    /// Jira takes the bridge for a browser.
    Browser,
    /// An answer of unknown origin, perhaps from a proxy.
    Intermediary,
}

/// Jira denied the bridge access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The reason.
    pub denial: Denial,
    /// How the bridge noticed.
    pub symptom: Symptom,
}

/// How the bridge noticed that it is denied access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// Jira demands a CAPTCHA.
    Captcha,
    /// Jira answered as if the bridge were not logged in.
    AnsweredAnonymously {
        /// The request; None: `/myself`.
        asked: Option<Operation>,
    },
    /// Jira refused a request.
    Refused {
        /// The request; None: `/myself`.
        asked: Option<Operation>,
        /// 401 or 403.
        status: u16,
        /// A colon and Jira's own words; empty if Jira gave no reason.
        said: String,
    },
    /// The answer to `/myself` names no account.
    NoAccount,
    /// The token endpoint refused to give an access token.
    NoAccessToken {
        /// The host of the token endpoint.
        host: String,
        /// Its status.
        status: u16,
        /// A colon and its reason; empty if it gave none.
        said: String,
    },
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captcha => f.write_str("it demands a CAPTCHA"),
            Self::AnsweredAnonymously { asked: None } => {
                f.write_str("asked who the bridge is, it answered as if the bridge were not logged in")
            }
            Self::AnsweredAnonymously { asked: Some(asked) } => {
                write!(f, "{} was answered as if the bridge were not logged in", asked.doing)
            }
            Self::Refused { asked: None, status, said } => {
                write!(f, "asked who the bridge is, it answered {status}{said}")
            }
            Self::Refused { asked: Some(asked), status, said } => {
                write!(f, "it answered {status} to {}{said}", asked.doing)
            }
            Self::NoAccount => f.write_str("it does not name the bridge's account"),
            Self::NoAccessToken { host, status, said } => {
                write!(f, "asked for an access token, {host} answered {status}{said}")
            }
        }
    }
}

/// Whether the words say that the token lacks a scope. Atlassian's gateway gives no other sign of that.
pub(super) fn mentions_scope(words: &str) -> bool {
    words.contains("scope")
}

impl Denial {
    /// The reason that the words of a 403 give, if any. The bridge asks Jira to answer in English.
    pub(super) fn from_message(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let says = |any: &[&str]| any.iter().any(|one| words.contains(one));
        Some(match () {
            () if says(&["captcha"]) => Self::Captcha,
            () if says(&[
                "allowlist",
                "allow list",
                "allow-list",
                "whitelist",
                "ip address",
                "ip restriction",
            ]) =>
            {
                Self::Address
            }
            () if says(&["xsrf", "csrf"]) => Self::Browser,
            () if says(&["basic auth"]) => Self::Passwords,
            () if says(&["connect session"]) => Self::App,
            () if says(&[
                "suspend",
                "deactivated",
                "site is unavailable",
                "site is not available",
                "site has been",
            ]) && !says(&["user"]) =>
            {
                Self::Suspended
            }
            () if says(&["license", "licence", "subscription", "trial"]) => Self::License,
            () => return None,
        })
    }

    /// The reason as the end of a sentence that begins with "Jira at HOST".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Credentials | Self::App | Self::AccessToken => "does not accept the credentials",
            Self::Client => "cannot be asked",
            Self::Captcha => "has locked the account",
            Self::Passwords => "takes no passwords",
            Self::Address => "does not let the bridge's address in",
            Self::Suspended => "is suspended",
            Self::License => "has no valid licence",
            Self::Browser => "takes the bridge for a browser",
            Self::Intermediary => "does not let the bridge in, or something on the way does not",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Credentials => "renew jira.token or check jira.user",
            Self::Client => {
                "check jira.oauth.client_id, and put a valid secret of that client into jira.oauth.client_secret"
            }
            Self::AccessToken => {
                "check that the service account of jira.oauth still exists, may use this Jira, and that its credential has \
                 the scopes that the bridge needs"
            }
            Self::App => "put the e-mail of the account that jira.token belongs to into jira.user",
            Self::Captcha => "log in once with a browser as the bridge's user",
            Self::Passwords => "leave jira.user out, and put a personal access token into jira.token",
            Self::Address => {
                "have the address from which the bridge's requests leave your network (that of the NAT gateway, the egress \
                 gateway or the proxy) added to Jira's allowlist: on Cloud admin.atlassian.com > Security > IP allowlists, \
                 on Data Center that of its firewall or load balancer"
            }
            Self::Suspended => {
                "have the organisation's administrator reactivate the site at admin.atlassian.com; the token is not the \
                 problem"
            }
            Self::License => "have Jira's administrator renew the licence; the token is not the problem",
            Self::Browser => {
                "have whatever is between the bridge and Jira leave the headers User-Agent, Origin and Referer as the \
                 bridge sends them; the token is not the problem"
            }
            Self::Intermediary => {
                "a proxy or firewall may be in the way; have it let through the bridge's requests to Jira"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jiras_own_words_decide() {
        for (words, denial) in [
            (
                "The IP address has been rejected because it is not on the allowlist. For more information, contact your admin.",
                Some(Denial::Address),
            ),
            ("Your IP address 203.0.113.7 is not whitelisted", Some(Denial::Address)),
            ("XSRF check failed", Some(Denial::Browser)),
            ("Basic Authentication has been disabled on this instance.", Some(Denial::Passwords)),
            ("Basic auth with password is not allowed on this instance", Some(Denial::Passwords)),
            ("Failed to parse Connect Session Auth Token", Some(Denial::App)),
            ("Your site has been suspended", Some(Denial::Suspended)),
            ("This site is deactivated", Some(Denial::Suspended)),
            ("The user has been suspended", None),
            ("Your license has expired", Some(Denial::License)),
            ("Your Jira licence is invalid", Some(Denial::License)),
            ("CAPTCHA_CHALLENGE", Some(Denial::Captcha)),
            ("You do not have permission to create issues in this project.", None),
            ("", None),
        ] {
            assert_eq!(Denial::from_message(words), denial, "{words}");
        }
    }

    #[test]
    fn only_wrong_credentials_advise_to_renew_the_token() {
        use Denial::{
            AccessToken, Address, App, Browser, Captcha, Client, Credentials, Intermediary, License,
            Passwords, Suspended,
        };
        let others = [
            AccessToken,
            Address,
            App,
            Browser,
            Captcha,
            Client,
            License,
            Intermediary,
            Passwords,
            Suspended,
        ];
        for denial in others {
            assert!(!denial.advice().contains("renew jira.token"), "{denial:?}");
        }
        assert!(Credentials.advice().contains("renew jira.token"));
    }
}
