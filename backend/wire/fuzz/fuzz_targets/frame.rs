//! No bytes make the codec panic, and what it reads it writes back as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shellport_wire::agent::{Request, Response};
use shellport_wire::frame::Frame;
use shellport_wire::plain::PlainInput;
use shellport_wire::viewer::{ClientMessage, ServerMessage};

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = Frame::decode(bytes) else {
        return;
    };
    assert_eq!(frame.encode(), bytes);
    if let Frame::Message(text) = frame {
        let _ = serde_json::from_str::<ClientMessage>(&text);
        let _ = serde_json::from_str::<ServerMessage>(&text);
        let _ = serde_json::from_str::<PlainInput>(&text);
        let _ = serde_json::from_str::<Request>(&text);
        let _ = serde_json::from_str::<Response>(&text);
    }
});
