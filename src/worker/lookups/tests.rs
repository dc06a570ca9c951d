//! Which answers of a fake Jira are kept.

use fake_jira::{Fault, Operation, Times};

use crate::worker::judge::tests::{BOTH, Site};

fn status(code: u16, body: &str) -> Fault {
    Fault::Status { code, retry_after: None, body: body.into() }
}

/// Jira's own refusal.
const REFUSAL: &str = r#"{"errorMessages":["no"],"errors":{}}"#;

/// Tickets that are refused together share one reading of the create screen. It is kept, and so is a refusal to show it; but
/// not that Jira does not answer.
#[tokio::test]
async fn a_create_screen_is_read_once() {
    for flavour in BOTH {
        let site = Site::start(flavour).await;
        site.warm().await;
        let read = async || site.lookups.create_fields("OPS", "10004").await.is_some();
        site.jira.fault(Operation::CreateMetaFields, status(503, "{}"), Times::Always);
        assert!(!read().await);
        site.jira.clear_faults();
        site.asked();
        assert_eq!(tokio::join!(read(), read()), (true, true));
        assert!(read().await);
        assert_eq!(site.asked(), [Operation::CreateMetaFields]);

        let refused = async || site.lookups.create_fields("OPS", "10005").await.is_none();
        site.jira.fault(Operation::CreateMetaFields, status(404, REFUSAL), Times::Always);
        assert!(refused().await && refused().await);
        assert_eq!(site.asked(), [Operation::CreateMetaFields]);
    }
}

/// A name that Jira itself refuses says nothing about the next one. After any other failure no further one is asked for.
#[tokio::test]
async fn a_name_is_skipped_only_if_jira_refuses_it() {
    for flavour in BOTH {
        for (fault, asked) in [
            (status(404, REFUSAL), 2),
            (status(403, "<html>blocked"), 1),
            (status(503, "{}"), 1),
            (Fault::Html, 1),
        ] {
            let site = Site::start(flavour).await;
            site.warm().await;
            let mut approval = site.base.approval.clone();
            approval.approvers = vec!["one@example.com".into(), "two@example.com".into()];
            // A template is anybody's words: nobody asks Jira for them.
            approval.deny = vec!["{{ metadata.author }}".into()];
            site.jira.fault(Operation::UserSearch, fault.clone(), Times::Always);
            site.lookups.named(None, &approval).await;
            let searches =
                site.jira.requests().iter().filter(|it| it.operation == Operation::UserSearch).count();
            assert_eq!(searches, asked, "{flavour:?} {fault:?}");
        }
    }
}
