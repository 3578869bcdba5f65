//! What is measured, chosen by the words of the command line: names of measurements, and keys of
//! ways. Of each kind none is all.

use super::measures::Measure;
use super::wait::Result;
use super::ways::{KEYS, RAW};

/// What was chosen.
pub struct Selection {
    /// The measurements, in the order of the report.
    pub measures: Vec<Measure>,
    /// The ways, the raw PTY among them: it is what all are compared with.
    pub ways: Vec<&'static str>,
}

impl Selection {
    /// Of these words; what begins with a hyphen is cargo's.
    pub fn new(words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut measures, mut ways) = (Vec::new(), Vec::new());
        for word in words.filter(|word| !word.starts_with('-')) {
            if let Some(measure) = Measure::ALL.into_iter().find(|it| it.name() == word) {
                measures.push(measure);
            } else if let Some(way) = KEYS.into_iter().find(|key| **key == word) {
                ways.push(way);
            } else {
                let all = Measure::ALL.map(Measure::name).join(" ");
                let keys = KEYS.join(" ");
                return Err(format!("{word}: measurements are {all}; ways are {keys}").into());
            }
        }
        if ways.is_empty() {
            ways.extend(KEYS);
        }
        let chosen = |it: &Measure| measures.is_empty() || measures.contains(it);
        Ok(Self {
            measures: Measure::ALL.into_iter().filter(chosen).collect(),
            ways: KEYS
                .into_iter()
                .filter(|key| *key == RAW || ways.contains(key))
                .collect(),
        })
    }
}
