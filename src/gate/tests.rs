mod approval_steps;
mod history;
mod recorded;
mod seen;
