//! Figures: printed as a table, kept as JSON.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::machine::figure;

/// The figures of one bench.
#[derive(Debug)]
pub(crate) struct Report {
    bench: String,
    figures: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: String,
    /// What is asked for; empty for what only explains.
    to_reach: String,
    reached: bool,
}

impl Report {
    pub(crate) fn new(bench: &str) -> Self {
        Self { bench: bench.to_owned(), figures: Vec::new() }
    }

    /// A figure that explains others; nothing is asked of it.
    pub(crate) fn note(&mut self, name: &str, value: f64, unit: &str) {
        self.add(name, value, unit, String::new(), true);
    }

    /// A figure that must not be more.
    pub(crate) fn at_most(&mut self, name: &str, value: f64, most: f64, unit: &str) {
        self.add(name, value, unit, format!("≤ {}", short(most)), value <= most);
    }

    /// A figure that must not be less.
    pub(crate) fn at_least(&mut self, name: &str, value: f64, least: f64, unit: &str) {
        self.add(name, value, unit, format!("≥ {}", short(least)), value >= least);
    }

    /// A figure that must be this one: what is counted, and known beforehand.
    pub(crate) fn exactly(&mut self, name: &str, value: u64, known: u64, unit: &str) {
        self.add(name, figure(value), unit, format!("= {known}"), value == known);
    }

    fn add(&mut self, name: &str, value: f64, unit: &str, to_reach: String, reached: bool) {
        eprintln!("{}: {name} {} {unit} {to_reach}", self.bench, short(value));
        self.figures.push(Figure { name: name.to_owned(), value, unit: unit.to_owned(), to_reach, reached });
    }

    /// Prints the table and writes the JSON. True: everything is reached.
    pub(crate) fn finish(self) -> Result<bool> {
        let reached = self.figures.iter().all(|figure| figure.reached);
        let width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
        println!("\n{}", self.bench);
        for Figure { name, value, unit, to_reach, reached } in &self.figures {
            let verdict = match (to_reach.is_empty(), reached) {
                (true, _) => "",
                (false, true) => "reached",
                (false, false) => "NOT REACHED",
            };
            println!("  {name:width$}  {:>12}  {unit:34}  {to_reach:9}  {verdict}", short(*value));
        }
        let path = target().join("bench").join(format!("{}.json", self.bench));
        let folder = path.parent().context("a file stands in a folder")?;
        std::fs::create_dir_all(folder)?;
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let text = serde_json::to_string_pretty(&json!({ "bench": self.bench, "figures": figures }))?;
        std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(reached)
    }
}

impl Figure {
    fn json(&self) -> Value {
        let Self { name, value, unit, to_reach, reached } = self;
        let value: f64 = short(*value).parse().unwrap_or(*value);
        json!({ "name": name, "value": value, "unit": unit, "to_reach": to_reach, "reached": reached })
    }
}

/// Three digits that say something.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        small if small >= 1.0 => 2,
        small if small >= 0.01 => 4,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The target folder: where cargo was told to build, or where this program lies.
fn target() -> PathBuf {
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return PathBuf::from(folder);
    }
    harness::find::repository().join("target")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_whole_numbers_stay_whole() {
        let shown: Vec<String> = [1234.5, 80.0, 41.26, 2.0, 0.123_456, 0.001_234].iter().map(|v| short(*v)).collect();
        assert_eq!(shown, ["1234", "80", "41.3", "2", "0.1235", "0.001234"]);
    }

    #[test]
    fn one_figure_that_is_missed_is_a_miss() {
        let mut report = Report::new("test");
        report.at_most("few", 1.0, 2.0, "things");
        report.at_least("many", 1.0, 2.0, "things");
        assert_eq!(report.figures.iter().map(|figure| figure.reached).collect::<Vec<_>>(), [true, false]);
    }
}
