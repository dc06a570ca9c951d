mod history;
mod seen;
mod steps;
