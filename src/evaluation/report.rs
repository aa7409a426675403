//! What a suite found: figures in the order in which they matter, as JSON or as a table.

use std::fmt;

use serde_json::{Map, Value};

/// The result of one suite.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    suite: &'static str,
    figures: Vec<(String, Value)>,
    /// Rows of details for people; in the JSON under their own key.
    details: Vec<(String, Value)>,
}

impl Report {
    /// An empty report of `suite`.
    pub fn new(suite: &'static str) -> Self {
        Self { suite, figures: Vec::new(), details: Vec::new() }
    }

    /// Adds a measured figure. One that is not a number (nothing to measure) becomes null.
    #[must_use]
    pub fn figure(mut self, name: &str, value: f64) -> Self {
        self.figures.push((name.to_owned(), rounded(value)));
        self
    }

    /// Adds a count.
    #[must_use]
    pub fn count(mut self, name: &str, value: usize) -> Self {
        self.figures.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a word, such as the encoder's name.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.figures.push((name.to_owned(), Value::String(value.into())));
        self
    }

    /// Adds a list or an object that explains the figures.
    #[must_use]
    pub fn detail(mut self, name: &str, value: Value) -> Self {
        self.details.push((name.to_owned(), value));
        self
    }

    /// A figure by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_f64())
    }

    /// One JSON object: the suite's name, every figure and every detail.
    pub fn to_json(&self) -> Value {
        let own = [("suite".to_owned(), Value::String(self.suite.to_owned()))];
        Value::Object(own.into_iter().chain(self.figures.clone()).chain(self.details.clone()).collect::<Map<_, _>>())
    }
}

/// Six digits are more than any test set can tell apart.
fn rounded(value: f64) -> Value {
    if value.is_finite() { Value::from((value * 1e6).round() / 1e6) } else { Value::Null }
}

/// A list of figures by name, for details.
pub fn object(figures: &[(&str, f64)]) -> Value {
    Value::Object(figures.iter().map(|(name, value)| ((*name).to_owned(), rounded(*value))).collect())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        writeln!(f, "{}", self.suite)?;
        for (name, value) in &self.figures {
            match value {
                Value::Number(number) if number.is_f64() => {
                    writeln!(f, "  {name:width$}  {:.4}", number.as_f64().unwrap_or(f64::NAN))?;
                }
                Value::String(text) => writeln!(f, "  {name:width$}  {text}")?,
                Value::Null => writeln!(f, "  {name:width$}  -")?,
                other => writeln!(f, "  {name:width$}  {other}")?,
            }
        }
        for (name, value) in &self.details {
            writeln!(f, "  {}", name.replace('_', " "))?;
            match value {
                Value::Array(rows) => {
                    for row in rows {
                        writeln!(f, "    {}", one_line(row))?;
                    }
                }
                other => writeln!(f, "    {}", one_line(other))?,
            }
        }
        Ok(())
    }
}

/// `name 0.9, other 12`.
fn one_line(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {}", one_line(value))).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.3}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_everything_and_nothing_that_is_no_number() {
        let report = Report::new("intents").figure("accuracy", 0.5).figure("auroc", f64::NAN).count("rows", 3);
        let json = report.detail("worst", object(&[("a", 0.25)])).to_json();
        assert_eq!(json["suite"], "intents");
        assert_eq!(json["accuracy"], 0.5);
        assert!(json["auroc"].is_null());
        assert_eq!(json["rows"], 3);
        assert_eq!(json["worst"]["a"], 0.25);
    }

    #[test]
    fn the_table_names_each_figure() {
        let table = Report::new("pii").figure("micro_f1", 0.75).text("encoder", "hashed").to_string();
        assert!(table.contains("micro_f1  0.7500") && table.contains("encoder   hashed"), "{table}");
    }
}
