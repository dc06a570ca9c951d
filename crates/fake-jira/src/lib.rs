//! A fake Jira, Cloud or Data Center, that keeps its state in memory: it stores issues, serves Jira's REST API over
//! HTTP, sends Jira's webhooks, serves pages on which a user moves issues, and validates requests as strictly as Jira
//! does.
//!
//! It follows Jira's documentation only and shares no code with the bridge's client, so that a mistake in that client
//! cannot be repeated here.

mod accounts;
mod adf;
mod administer;
mod answer;
mod approval;
mod auth;
mod body;
mod call;
mod changelog;
mod check;
mod comments;
mod configure;
mod delivery;
mod directory;
mod edit;
mod fake;
mod fault;
mod fault_answers;
mod html;
mod issues;
mod jql;
mod link_types;
mod links;
mod markup;
mod meta;
mod model;
mod oauth;
mod oauth_client;
mod operation;
mod page;
mod people;
mod recorded;
mod render;
mod route;
mod search;
mod serve;
mod service_desk;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod transitions;
mod webhook;
mod wiki;

pub use self::{
    accounts::Account,
    adf::text,
    administer::Backup,
    delivery::Delivery,
    fake::FakeJira,
    fault::{Fault, Times},
    model::{
        AUTOMATION, AccountKind, BOB, BRIDGE, Category, Change, Comment, Field, Flavour, History, IssueView,
        Link, MIA, Person, Setup, Shape, Status, Transition, Workflow,
    },
    operation::Operation,
    recorded::{Credentials, Recorded},
    time::{EpochMillis, TimeSource},
    webhook::signature,
};
