//! The cost of the pure core: applying a message to a canary, computing a verdict, and parsing, serializing and
//! verifying what they need.
//!
//! ```sh
//! cargo bench --bench core
//! cargo bench --bench core -- apply      # only the benchmarks with this name
//! ```

use std::{collections::BTreeMap, hint::black_box, time::Duration};

use anyhow::Context as _;
use criterion::Criterion;
use flagger_jira_bridge::{
    config, flagger,
    gate::{
        GateId, GateName, Hours, IssueSnapshot, Move, OtherAuthors, Pace, Stage, TargetProof, Ticket,
        Validity,
    },
    http::credentials::is_signed,
    millis::Millis,
    policy::{ApprovalMode, Author, Fingerprint, Person, Policy, Status, Statuses},
    rollout::{
        Budget, Canary, CanaryId, Change, Denials, Event, Headroom, HoursOf, Observed, Rules, Subject,
    },
    ticket::{self, People, Surroundings},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;

/// 2026-09-21T14:13:20Z
const NOW: Millis = Millis(1_790_000_000_000);
const RULES: Rules = Rules {
    validity: Validity {
        trust_for: Duration::from_secs(600),
        valid_for: Duration::from_secs(72 * 3600),
        judged_by: Fingerprint(1),
        reject_after: None,
        target: TargetProof::NotNeeded,
        hours: Hours::Open,
        mode: ApprovalMode::Required,
    },
    idle_after: Duration::from_secs(600),
    abandon_after: Duration::from_secs(7 * 24 * 3600),
    budget: Budget { per_hour: 12, headroom: Headroom::Available },
    binds: false,
};
const SECRET: &str = "a secret of thirty-two characters";

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    questions(&mut criterion)?;
    words(&mut criterion)?;
    signatures(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// A question as Flagger sends it.
fn payload() -> String {
    r#"{"name":"podinfo","namespace":"shop","phase":"WaitingPromotion","checksum":"5594979469","metadata":{"team":"checkout","revision":"v2.4.1","change":"CHG-4711"}}"#
        .to_owned()
}

fn gate() -> GateName {
    GateName { stage: Stage::ConfirmPromotion, approver: None, step: None }
}

fn id() -> CanaryId {
    CanaryId { cluster: "prod".into(), namespace: "shop".into(), name: "podinfo".into() }
}

/// A parsed question.
struct Question {
    message: flagger_jira_bridge::rollout::Message,
    metadata: BTreeMap<String, String>,
    name: GateName,
    subject: Subject,
}

impl Question {
    fn new() -> anyhow::Result<Self> {
        let read = flagger::parse(payload().as_bytes())?;
        let subject = Subject::new(id(), gate(), &read.message, read.metadata.clone());
        Ok(Self { message: read.message, metadata: read.metadata, name: gate(), subject })
    }

    fn asked(&self) -> Event<'_> {
        Event::Asked {
            gate: &self.name,
            message: &self.message,
            metadata: &self.metadata,
            names: None,
            new_id: GateId("4f1c".into()),
            silent_for: Duration::from_secs(10),
            deny: &[],
            denials: &[],
            pace: Pace::default(),
            observed: Observed::Unread,
            analysis: None,
            hours: HoursOf::OPEN,
            step: None,
        }
    }
}

fn changed(canary: &Canary, event: &Event<'_>) -> anyhow::Result<Canary> {
    match canary.apply(event, NOW, &RULES) {
        Change::To { canary, .. } => Ok(canary),
        Change::Unchanged => anyhow::bail!("nothing happened"),
    }
}

/// A canary whose gate waits for an approval, and the same canary after the approval.
fn canaries(question: &Question) -> anyhow::Result<(Canary, Canary)> {
    let fresh = GateId("4f1c".into());
    let ticket = Ticket {
        id: "10042".into(),
        key: "OPS-7".into(),
        project: "OPS".into(),
        issue_type: "10004".into(),
        taken_at: None,
    };
    let opening = changed(&Canary::new(id()), &question.asked())?;
    let waiting = changed(&opening, &Event::Opened { gate: &fresh, ticket, statuses: None, shows: None })?;
    let status = |id: &str, name: &str| Status { id: id.into(), name: name.into() };
    let by = Person { id: "5b1".into(), name: "Mia".into(), app: false };
    let entry =
        Move { changelog_id: "101".into(), by, at: NOW, from: "1".into(), to: status("3", "Approved") };
    let snapshot = IssueSnapshot::Issue {
        approval: None,
        key: "OPS-7".into(),
        project: "OPS".into(),
        issue_type: "10004".into(),
        status: status("3", "Approved"),
        ended: false,
        marks: vec![fresh.clone()],
        moves: vec![entry],
        invalidations: Vec::new(),
        planned: BTreeMap::new(),
        exceptions: Vec::new(),
        answered: NOW,
    };
    let statuses = Statuses {
        approved: ["3".to_owned()].into(),
        rejected: ["4".to_owned()].into(),
        names: [("3".to_owned(), "Approved".to_owned()), ("4".to_owned(), "Rejected".to_owned())].into(),
        ..Statuses::default()
    };
    let author = Author::Accepted;
    let denials = Denials::default();
    let seen = Event::Seen {
        gate: &fresh,
        snapshot: &snapshot,
        statuses: &statuses,
        author: &author,
        authors: &OtherAuthors::default(),
        denials: &denials,
        arrived: NOW,
    };
    let approved = changed(&waiting, &seen)?;
    let used = changed(&approved, &question.asked())?;
    Ok((waiting, used))
}

fn questions(criterion: &mut Criterion) -> anyhow::Result<()> {
    let question = Question::new()?;
    let new = Canary::new(id());
    let (waiting, used) = canaries(&question)?;
    let body = payload();
    criterion.bench_function("parse a question", |bench| {
        bench.iter(|| flagger::parse(black_box(body.as_bytes())))
    });
    criterion.bench_function("apply the first question", |bench| {
        bench.iter(|| black_box(&new).apply(&question.asked(), NOW, &RULES));
    });
    criterion.bench_function("apply a repeated question", |bench| {
        bench.iter(|| black_box(&waiting).apply(&question.asked(), NOW, &RULES));
    });
    let at = used.gate(&question.name).context("no gate")?;
    criterion.bench_function("verdict", |bench| bench.iter(|| black_box(at).verdict(NOW, RULES.validity)));
    let text = serde_json::to_string(&used)?;
    criterion
        .bench_function("write a canary", |bench| bench.iter(|| serde_json::to_string(black_box(&used))));
    criterion.bench_function("read a canary", |bench| {
        bench.iter(|| serde_json::from_str::<Canary>(black_box(&text)));
    });
    criterion.bench_function("a question's subject", |bench| {
        bench.iter(|| Subject::new(id(), gate(), &question.message, black_box(&question.metadata).clone()));
    });
    Ok(())
}

fn policy() -> anyhow::Result<Policy> {
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    std::fs::write(file.path(), config::EXAMPLE)?;
    let env =
        [("URL", "https://example.atlassian.net"), ("USER", "bridge@example.com"), ("TOKEN", "a token")];
    let env = env.map(|(key, value)| (format!("BRIDGE__JIRA__{key}"), value.to_owned()));
    Ok(config::load(file.path(), env)?.policy)
}

fn words(criterion: &mut Criterion) -> anyhow::Result<()> {
    let policy = policy()?;
    let question = Question::new()?;
    let around = Surroundings {
        status_page: Some("https://bridge.example.com/"),
        browse: &|key| format!("https://jira.example.com/browse/{key}"),
        people: &People::default(),
        hours: None,
    };
    ticket::draft(&question.subject, &policy.base, &around)
        .map_err(|error| anyhow::anyhow!("{}", error.what))?;
    criterion.bench_function("write a ticket", |bench| {
        bench.iter(|| ticket::draft(black_box(&question.subject), &policy.base, &around));
    });
    let deny = ["{{ metadata.team }}".to_owned()];
    criterion.bench_function("render approval.deny", |bench| {
        bench.iter(|| ticket::denied(black_box(&question.subject), &deny));
    });
    Ok(())
}

fn signatures(criterion: &mut Criterion) -> anyhow::Result<()> {
    let secrets = [SecretString::from(SECRET), SecretString::from("the one before it, while it is rotated")];
    for size in [4 * 1024, 1024 * 1024] {
        let body = vec![b'x'; size];
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?.chain_update(&body);
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("sha256={hex}");
        anyhow::ensure!(is_signed(&body, &signature, &secrets), "the signature is wrong");
        criterion.bench_function(&format!("check a signature of {} KiB", size / 1024), |bench| {
            bench.iter(|| is_signed(black_box(&body), &signature, &secrets));
        });
    }
    Ok(())
}
