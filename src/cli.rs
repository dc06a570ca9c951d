//! The command line: its arguments; `gates`, which asks a running bridge; and `audit`, which reads its database.

mod args;
mod audit;
mod gates;
mod terminal;

pub use self::{
    args::{Audit, AuditFormat, Cli, Command, Demo, Gates, LogFormat},
    audit::audit,
    gates::{gates, watch},
    terminal::{LinkStyle, OutputStyle},
};
