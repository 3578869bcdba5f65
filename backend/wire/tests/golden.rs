//! The codec against literal bytes, which the TypeScript tests read as well.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shellport_wire::frame::{Frame, FrameError, HEADER, Kind, MAX_FRAME, MAX_PAYLOAD};
use shellport_wire::link::{decode_length, encode_length};
use shellport_wire::plain::PlainInput;
use shellport_wire::viewer::{ClientMessage, ServerMessage};

const FRAMES: &str = include_str!("../../../testdata/frames.json");
const MESSAGES: &str = include_str!("../../../testdata/messages.json");

#[derive(Deserialize)]
struct Frames {
    frames: Vec<Golden>,
    errors: Vec<Bad>,
}

#[derive(Deserialize)]
struct Golden {
    name: String,
    hex: String,
    r#type: String,
    position: Option<String>,
    payload_hex: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Bad {
    name: String,
    hex: String,
    error: String,
}

#[derive(Deserialize)]
struct Messages {
    client: Vec<Value>,
    server: Vec<Value>,
    plain: Vec<Value>,
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn frames_are_these_bytes() {
    let golden: Frames = serde_json::from_str(FRAMES).unwrap();
    assert!(golden.frames.len() >= 7);
    for frame in golden.frames {
        let bytes = unhex(&frame.hex);
        let kind = match &frame.r#type[..] {
            "output" => Some(Kind::Output),
            "input" => Some(Kind::Input),
            "snapshot" => Some(Kind::Snapshot),
            "stderr" => Some(Kind::Stderr),
            _ => None,
        };
        let payload = unhex(frame.payload_hex.as_deref().unwrap_or_default());
        let expected = match kind {
            Some(kind) => Frame::bytes(kind, frame.position.unwrap().parse().unwrap(), &payload),
            None => Frame::Message(frame.text.unwrap().into()),
        };
        assert_eq!(Frame::decode(&bytes).unwrap(), expected, "{}", frame.name);
        assert_eq!(expected.encode(), bytes, "{}", frame.name);
    }
}

#[test]
fn anything_else_is_refused() {
    let golden: Frames = serde_json::from_str(FRAMES).unwrap();
    assert!(golden.errors.len() >= 9);
    for bad in golden.errors {
        let error = match Frame::decode(&unhex(&bad.hex)) {
            Err(FrameError::Empty) => "empty",
            Err(FrameError::UnknownType(_)) => "unknown_type",
            Err(FrameError::TooShort(_)) => "too_short",
            Err(FrameError::TooLong(_)) => "too_long",
            Err(FrameError::PositionOverflow(_)) => "position_overflow",
            Err(FrameError::NotUtf8) => "not_utf8",
            Ok(frame) => panic!("{}: {frame:?}", bad.name),
        };
        assert_eq!(error, bad.error, "{}", bad.name);
    }
}

#[test]
fn the_largest_frame_is_the_limit() {
    let mut bytes = Frame::bytes(Kind::Output, 0, &vec![7; MAX_PAYLOAD]).encode();
    assert_eq!(bytes.len(), MAX_FRAME);
    assert!(Frame::decode(&bytes).is_ok());
    bytes.push(7);
    assert_eq!(
        Frame::decode(&bytes),
        Err(FrameError::TooLong(MAX_FRAME + 1))
    );
    let text = format!("{{{}}}", " ".repeat(MAX_PAYLOAD));
    assert!(matches!(
        Frame::decode(text.as_bytes()),
        Err(FrameError::TooLong(_))
    ));
}

#[test]
fn messages_are_these_objects() {
    fn same<M: Serialize + DeserializeOwned + Debug>(values: Vec<Value>) {
        assert!(!values.is_empty());
        for value in values {
            let message: M = serde_json::from_value(value.clone())
                .unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(
                serde_json::to_value(&message).unwrap(),
                value,
                "{message:?}"
            );
        }
    }
    let golden: Messages = serde_json::from_str(MESSAGES).unwrap();
    same::<ClientMessage>(golden.client);
    same::<ServerMessage>(golden.server);
    same::<PlainInput>(golden.plain);
}

#[test]
fn a_client_that_says_more_than_it_may_is_refused_by_name() {
    let error = serde_json::from_str::<ClientMessage>(r#"{"type":"ack","offset":1,"size":2}"#);
    assert!(error.unwrap_err().to_string().contains("`size`"));
    let error = serde_json::from_str::<ClientMessage>(r#"{"type":"run"}"#);
    assert!(error.unwrap_err().to_string().contains("`run`"));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        kind in prop_oneof![
            Just(Kind::Output), Just(Kind::Input), Just(Kind::Snapshot), Just(Kind::Stderr),
        ],
        position in 0..u64::MAX - 5000,
        payload in prop::collection::vec(any::<u8>(), 1..5000),
    ) {
        let frame = Frame::bytes(kind, position, &payload);
        let bytes = frame.encode();
        prop_assert_eq!(bytes.len(), HEADER + payload.len());
        prop_assert_eq!(Frame::decode(&bytes), Ok(frame));
        prop_assert_eq!(decode_length(encode_length(bytes.len())), Ok(bytes.len()));
    }

    #[test]
    fn no_input_panics_and_what_is_read_is_written_back(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        prefix in any::<[u8; 4]>(),
    ) {
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), bytes);
        }
        if let Ok(length) = decode_length(prefix) {
            prop_assert_eq!(encode_length(length), prefix);
        }
    }
}
