//! Checks of readability and structure for every page.

use serde_json::Value;

use super::driver::Browser;

/// Computes the contrast of each visible text with its background by WCAG 2. Returns the number of texts and those with
/// too little contrast.
const CONTRAST: &str = r"
    const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
    const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = parts(getComputedStyle(element).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        throw new Error('nothing is behind it');
    };
    const faint = [];
    let many = 0;
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.data.trim();
        const element = texts.currentNode.parentElement;
        if (!text || ['NOSCRIPT', 'SCRIPT'].includes(element.tagName)) continue;
        many += 1;
        const [one, other] = [parts(getComputedStyle(element).color), behind(element)].map(light);
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(2)}`);
    }
    return { many, faint };
";

/// Asserts that every visible text has enough contrast.
pub(super) async fn can_be_read(browser: &Browser) {
    let found = browser.runs(CONTRAST).await;
    assert!(found["many"].as_u64().unwrap() > 10, "{found}");
    assert_eq!(found["faint"], serde_json::json!([]), "{}", browser.url().await);
}

/// Asserts that the page does not scroll sideways.
pub(super) async fn fits(browser: &Browser) {
    let wide = browser
        .runs("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        .await;
    assert_eq!(wide[0], wide[1], "{}", browser.url().await);
}

/// Asserts that heading levels have no gap and start with a single first level, every field has a label, every id is
/// unique, and there is one main element.
pub(super) async fn is_in_order(browser: &Browser) {
    let found = browser
        .runs(
            "const all = (css) => [...document.querySelectorAll(css)];
             const levels = all('h1, h2, h3, h4, h5, h6').map((it) => Number(it.tagName[1]));
             const ids = all('[id]').map((it) => it.id);
             return {
                 gaps: levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1).length,
                 first: levels.filter((level) => level === 1).length,
                 main: all('main').length,
                 nameless: all('input:not([type=hidden])').filter((it) => !it.labels.length).length,
                 columns: all('thead th:not([scope=col])').length + all('tbody th:not([scope=row])').length,
                 twice: ids.filter((id, at) => ids.indexOf(id) !== at),
                 language: document.documentElement.lang,
             };",
        )
        .await;
    let expected = serde_json::json!({
        "gaps": 0, "first": 1, "main": 1, "nameless": 0, "columns": 0, "twice": [], "language": "en",
    });
    assert_eq!(found, expected, "{}", browser.url().await);
}

/// The text of the focused element, and whether its focus outline is visible.
pub(super) async fn focus(browser: &Browser) -> (String, bool) {
    let found = browser
        .runs(
            "const it = document.activeElement;
             const style = getComputedStyle(it);
             const place = it.getBoundingClientRect();
             const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && place.width > 1;
             return [it.getAttribute('aria-label') ?? it.labels?.[0]?.innerText ?? it.innerText.trim(), seen];",
        )
        .await;
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (words(&found[0]), found[1] == true)
}
