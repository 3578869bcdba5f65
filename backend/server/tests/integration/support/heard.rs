//! What the events of an exec come to.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::http::Client;

/// What has been told of an exec.
#[derive(Debug, Default)]
pub struct Heard {
    /// Standard output, whole from where it was first told.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Output that was not told.
    pub gaps: Vec<Value>,
    /// `process_end`, when it has come.
    pub end: Option<Value>,
    /// Where the streams go on.
    pub places: [u64; 2],
}

impl Heard {
    /// One that begins at these places.
    pub fn from(places: [u64; 2]) -> Self {
        Self {
            places,
            ..Self::default()
        }
    }

    /// Takes an event, which has to be the next.
    pub fn take(&mut self, event: &Value) {
        assert!(self.end.is_none(), "after the end: {event}");
        let index = usize::from(event["stream"] == "stderr");
        match event["type"].as_str() {
            Some("output") => {
                assert_eq!(event["offset"], self.places[index], "{event}");
                let data = event["data"].as_str().unwrap();
                let bytes = match event["encoding"].as_str() {
                    None => data.as_bytes().to_vec(),
                    Some("base64") => BASE64.decode(data.as_bytes()).unwrap(),
                    Some(other) => panic!("{other}"),
                };
                self.places[index] += bytes.len() as u64;
                [&mut self.stdout, &mut self.stderr][index].extend(bytes);
            }
            Some("gap") => {
                assert_eq!(event["from"], self.places[index], "{event}");
                self.places[index] = event["to"].as_u64().unwrap();
                self.gaps.push(event.clone());
            }
            Some("process_end") => self.end = Some(event.clone()),
            Some("process_start" | "heartbeat") => {}
            _ => panic!("{event}"),
        }
    }

    /// The end of one that has ended, with everything that it wrote having been told.
    pub fn end(&self) -> &Value {
        let end = self.end.as_ref().expect("it has ended");
        let ends = [&end["ends"]["stdout"], &end["ends"]["stderr"]];
        assert_eq!(ends.map(|end| end.as_u64().unwrap()), self.places);
        end
    }

    /// The code of one that exited, without a gap.
    pub fn code(&self) -> i64 {
        assert!(self.gaps.is_empty(), "{:?}", self.gaps);
        assert_eq!(self.end()["reason"], "exited", "{:?}", self.end);
        self.end()["code"].as_i64().unwrap()
    }

    /// Turns the page: takes what is there next of an exec, and waits when nothing is.
    pub async fn turn(&mut self, client: &Client, exec: &str) {
        let query = self.query();
        let page = client.get(&format!("{exec}/output?{query}&wait=10s")).await;
        let page = page.expect(200);
        for event in page["data"].as_array().unwrap() {
            self.take(event);
        }
        let [stdout, stderr] = self.places;
        assert_eq!(page["next"], json!({"stdout": stdout, "stderr": stderr}));
        assert_eq!(page["ended"], self.end.is_some());
    }

    /// The query for what comes next.
    pub fn query(&self) -> String {
        let [stdout, stderr] = self.places;
        format!("stdout={stdout}&stderr={stderr}")
    }
}
