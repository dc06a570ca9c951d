//! The command line: its arguments; `gates`, which asks a running bridge; `audit`, which reads its database; and what
//! packages install: completions and manual pages.

mod args;
mod audit;
mod gates;
mod generated;
mod terminal;

pub use self::{
    args::{
        Audit, AuditFormat, Cli, Command, Completions, DEFAULT_CONFIG, Demo, Gates, GroupBy, LogFormat,
        ManPages,
    },
    audit::audit,
    gates::{gates, watch},
    generated::{completions, manual, manuals},
    terminal::{LinkStyle, OutputStyle},
};
