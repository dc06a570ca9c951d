//! The ticket of the demo, as a newcomer sees it. Its pictures are in the documentation.

use super::{
    driver::{Browser, Scripts},
    page_checks::{can_be_read, fits, is_in_order},
};
use crate::cli::demo::Demo;

/// A ticket is readable in the light and in the dark, on a desk and on a phone; and the picture for the docs is taken.
#[tokio::test]
#[ignore = "run by .ci/browser"]
async fn the_demos_ticket() {
    let mut demo = Demo::interactive();
    demo.says("the bridge opens OPS-1");
    let browser = Browser::start(Scripts::Run).await;
    for scheme in ["light", "dark"] {
        browser.prefers(scheme).await;
        for (size, width) in [("wide", 1200), ("narrow", 400)] {
            browser.sized(width, 800).await;
            browser.goes(&format!("{}/browse/OPS-1", demo.url())).await;
            browser.waits_for("h1", "checkout").await;
            let height = browser.runs("return document.documentElement.scrollHeight").await;
            let height = height.as_u64().and_then(|height| u32::try_from(height).ok()).unwrap();
            browser.sized(width, height).await;
            fits(&browser).await;
            can_be_read(&browser).await;
            is_in_order(&browser).await;
            browser.saves_screenshot(&format!("demo-ticket-{scheme}-{size}")).await;
        }
    }
    let tables = browser.runs("return document.querySelectorAll('.doc table thead th').length").await;
    assert!(tables.as_u64() > Some(2), "it has tables with headings: {tables}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    // Who clicks is chosen at the top.
    browser.clicks(".you button").await;
    browser.waits_for(".you strong", "Bob Builder").await;
    browser.clicks("#move-31").await;
    browser.waits_for("#status", "APPROVED").await;
    browser.waits_for("#comments + ul", "Flagger Bridge").await;
    browser.saves_screenshot("demo-ticket-not-counted").await;
    let history = browser.reads("#history + ul").await;
    assert!(history.contains("Bob Builder changed status"), "{history}");
}
