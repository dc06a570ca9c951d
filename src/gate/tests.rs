mod history;
mod recorded;
mod seen;
