mod history;
mod recorded;
mod seen;
mod steps;
