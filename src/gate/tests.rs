mod history;
mod seen;
