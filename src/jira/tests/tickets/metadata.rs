//! Tickets with what the team sends: links, and words that try to be something else.

use super::*;

#[test]
fn with_links_and_hostile_metadata() {
    let long = "https://ci.example/".to_owned() + &"x".repeat(400);
    let metadata = [
        ("a|b {color:red}", "[~admin] *bold* | h1. {noformat} <b>x</b>"),
        ("fake", "https://jira.example@evil.example/ and javascript:alert(1)"),
        ("long", &long),
        ("lines", "h3. What your decision does\n* Approved: nothing\n\nsee https://wiki.example/a?b=[c]"),
        ("dashboard", "not an address"),
        ("pr", "https://git.example/pull/7."),
    ];
    let subject = asked(Stage::ConfirmPromotion, Phase::Progressing, &metadata);
    let settings =
        "ticket.description = \"\"\"See {{ metadata.pr }}\n\n- and https://wiki.example/{{ canary }}\"\"\"";
    let draft = drafted(&subject, &route(settings), None);
    let outer: Vec<Block> =
        draft.description.0.into_iter().filter(|block| !matches!(block, Block::Bullets(_))).collect();
    insta::assert_snapshot!(both(&Doc(outer)).join("\n\n=== Data Center\n"), @r"
    See <a https://git.example/pull/7>https://git.example/pull/7</a>.
    <li>and <a https://wiki.example/cart>https://wiki.example/cart</a>
    <h3>What changes
    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.
    The application team says about this rollout (not verified):
    | Name | Value |
    | a|b {color:red} | [~admin] *bold* | h1. {noformat} <b>x</b> |
    | dashboard | not an address |
    | fake | https://jira.example@evil.example/ and javascript:alert(1) |
    | lines | h3. What your decision does<br>
    * Approved: nothing<br>
    <br>
    see <a https://wiki.example/a?b=[c]>https://wiki.example/a?b=[c]</a> |
    | long | https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |
    | pr | <a https://git.example/pull/7>https://git.example/pull/7</a>. |
    That is not all the team sent: the rest is at the end of this ticket.
    <h3>What your decision does
    This approves this rollout only: another one, even of the same version, gets its own ticket.
    <h3>Who decides, and until when
    <h3>Technical details, for the application team
    <h3>Everything the application team sent (not verified)
    | Name | Value |
    | a|b {color:red} | [~admin] *bold* | h1. {noformat} <b>x</b> |
    | dashboard | not an address |
    | fake | https://jira.example@evil.example/ and javascript:alert(1) |
    | lines | h3. What your decision does<br>
    * Approved: nothing<br>
    <br>
    see <a https://wiki.example/a?b=[c]>https://wiki.example/a?b=[c]</a> |
    | long | <a https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx>https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</a> |
    | pr | <a https://git.example/pull/7>https://git.example/pull/7</a>. |

    === Data Center
    See [https\://git.example/pull/7|https://git.example/pull/7].

    * and [https\://wiki.example/cart|https://wiki.example/cart]

    h3. What changes

    This ticket cannot list what changes: the bridge does not read the cluster, and the application team sent no version. Ask the team. If you cannot tell what changes, leave this ticket open: the rollout waits until it is approved.

    The application team says about this rollout \(not verified\):

    || Name || Value ||
    | a\|b \{color\:red\} | \[\~admin\] \*bold\* \| h1. \{noformat\} <b>x</b> |
    | dashboard | not an address |
    | fake | https\://jira.example\@evil.example/ and javascript\:alert\(1\) |
    | lines | h3\. What your decision does\\ \* Approved: nothing\\ \\ see [https\://wiki.example/a\?b=\[c\]|https://wiki.example/a?b=%5Bc%5D] |
    | long | https\://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |
    | pr | [https\://git.example/pull/7|https://git.example/pull/7]. |

    That is not all the team sent: the rest is at the end of this ticket.

    h3. What your decision does

    This approves this rollout only: another one, even of the same version, gets its own ticket.

    h3. Who decides, and until when

    h3. Technical details, for the application team

    h3. Everything the application team sent \(not verified\)

    || Name || Value ||
    | a\|b \{color\:red\} | \[\~admin\] \*bold\* \| h1. \{noformat\} <b>x</b> |
    | dashboard | not an address |
    | fake | https\://jira.example\@evil.example/ and javascript\:alert\(1\) |
    | lines | h3\. What your decision does\\ \* Approved: nothing\\ \\ see [https\://wiki.example/a\?b=\[c\]|https://wiki.example/a?b=%5Bc%5D] |
    | long | [https\://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|https://ci.example/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] |
    | pr | [https\://git.example/pull/7|https://git.example/pull/7]. |
    ");
}
