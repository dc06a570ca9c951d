//! The colours of the page.

use std::collections::HashMap;

use crate::gate::Verdict;

#[test]
fn every_state_has_a_color() {
    let css = include_str!("../../page.css");
    for state in Verdict::ALL {
        let class = format!(".{}", state.as_str());
        assert!(css.split([',', ' ']).any(|selector| selector.lines().any(|line| line == class)), "{class}");
    }
}

/// The colours of the style sheet's light and dark scheme.
fn colours(css: &str) -> [HashMap<&str, [f64; 3]>; 2] {
    let mut blocks = css.split(":root {").skip(1).map(|block| block.split('}').next().unwrap());
    [(); 2].map(|()| {
        let words = blocks.next().unwrap().split(';').filter_map(|it| it.trim().split_once(": #"));
        words
            .map(|(name, hex)| {
                let each = if hex.len() == 3 { 1 } else { 2 };
                let part = |at: usize| {
                    let digits = &hex[at * each..(at + 1) * each];
                    let value = u8::from_str_radix(digits, 16).unwrap();
                    f64::from(if each == 1 { value * 17 } else { value }) / 255.0
                };
                (name.trim_start_matches("--"), [part(0), part(1), part(2)])
            })
            .collect()
    })
}

/// The contrast ratio of WCAG 2.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    let light = |[red, green, blue]: [f64; 3]| {
        0.0722f64.mul_add(linear(blue), 0.2126f64.mul_add(linear(red), 0.7152 * linear(green)))
    };
    let (one, other) = (light(one) + 0.05, light(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn every_colour_can_be_read() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    for scheme in colours(include_str!("../../page.css")) {
        for words in ["text", "dim", "link", "ok", "no", "warn", "wait"] {
            for on in ["back", "card"] {
                let contrast = contrast(scheme[words], scheme[on]);
                assert!(contrast >= 4.5, "{words} on {on}: {contrast:.2}");
            }
        }
    }
}
