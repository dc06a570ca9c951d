//! PURE: why Jira does not let the bridge in, in Jira's own words. Not every 403 is about the token, and who renews it
//! then does so in vain.

use std::fmt;

use super::request::Operation;

/// Why the bridge is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// User or token are not right, as far as is told.
    Credentials,
    /// The account is locked until a person has solved a CAPTCHA.
    Captcha,
    /// The way to log in with a password is closed.
    Passwords,
    /// A token without a user is taken for one of an app.
    App,
    /// The address that the bridge comes from is not allowed.
    Address,
    /// The site is suspended or deactivated.
    Suspended,
    /// The licence is over.
    License,
    /// It takes the bridge for a browser.
    Browser,
    /// A page, of which nobody knows who wrote it.
    Intermediary,
}

/// That the bridge is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What is the matter.
    pub denial: Denial,
    /// How it showed.
    pub symptom: Symptom,
}

/// How it showed that the bridge is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// A CAPTCHA is demanded.
    Captcha,
    /// An answer as to an anonymous visitor.
    OtherAccount {
        /// To what; None: to the question who the bridge is.
        asked: Option<Operation>,
    },
    /// A status that refuses.
    Refused {
        /// What; None: the question who the bridge is.
        asked: Option<Operation>,
        /// 401 or 403.
        status: u16,
        /// Jira's own words after a colon, if it told why.
        said: String,
    },
    /// An answer to the question who the bridge is, with no account in it.
    Anonymous,
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captcha => f.write_str("it demands a CAPTCHA"),
            Self::OtherAccount { asked: None } => {
                f.write_str("asked who the bridge is, it answered as to an anonymous visitor")
            }
            Self::OtherAccount { asked: Some(asked) } => {
                write!(f, "{} was answered as to an anonymous visitor", asked.doing)
            }
            Self::Refused { asked: None, status, said } => {
                write!(f, "asked who the bridge is, it answered {status}{said}")
            }
            Self::Refused { asked: Some(asked), status, said } => {
                write!(f, "it answered {status} to {}{said}", asked.doing)
            }
            Self::Anonymous => f.write_str("it does not say who we are"),
        }
    }
}

/// Whether it says that the token lacks a scope. Atlassian's gateway has no other sign of that than its words.
pub(super) fn is_of_scope(words: &str) -> bool {
    words.contains("scope")
}

impl Denial {
    /// What the words of a 403 tell, if they tell something. Jira is asked to answer in English.
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

    /// How it is told, after the name of the Jira.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Credentials | Self::App => "does not accept the credentials",
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
                 matter"
            }
            Self::License => "have Jira's administrator renew the licence; the token is not the matter",
            Self::Browser => {
                "have whatever is between the bridge and Jira leave the headers User-Agent, Origin and Referer as the \
                 bridge sends them; the token is not the matter"
            }
            Self::Intermediary => {
                "a proxy or firewall may be in the way; have it let the bridge's requests to Jira pass"
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
    fn only_where_the_token_may_be_wrong_it_is_to_be_renewed() {
        use Denial::{
            Address, App, Browser, Captcha, Credentials, Intermediary, License, Passwords, Suspended,
        };
        for denial in [Address, App, Browser, Captcha, License, Intermediary, Passwords, Suspended] {
            assert!(!denial.advice().contains("renew jira.token"), "{denial:?}");
        }
        assert!(Credentials.advice().contains("renew jira.token"));
    }
}
