//! Whatever comes out of a sandbox, in whatever pieces and sizes: the screen survives it, stays within its
//! bounds, and its snapshots draw what they were made of.

use proptest::prelude::*;
use shellport_screen::Screen;

/// What happens to a terminal.
#[derive(Clone, Debug)]
enum Event {
    Output(Vec<u8>),
    Resize(u16, u16),
}

fn output() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static [u8]> = vec![
        b"\r\n",
        b"\r",
        b"\n",
        b"\t",
        b"\x08",
        b"\x0e",
        b"\x0f",
        b"\x1bD",
        b"\x1bE",
        b"\x1bM",
        b"\x1bH",
        b"\x1b7",
        b"\x1b8",
        b"\x1bc",
        b"\x1b#8",
        b"\x1b(0",
        b"\x1b)A",
        b"\x1b[!p",
        b"\x1b[?6h",
        b"\x1b[?6l",
        b"\x1b[?7l",
        b"\x1b[?7h",
        b"\x1b[?45h",
        b"\x1b[4h",
        b"\x1b[4l",
        b"\x1b[20h",
        b"\x1b[?1049h",
        b"\x1b[?1049l",
        b"\x1b[?47h",
        b"\x1b[?47l",
        b"\x1b[3J",
        b"\x1b[2J",
        b"\x1b[1J",
        b"\x1b[1K",
        b"\x1b[2K",
        b"\x1b[2;3r",
        b"\x1b[r",
        b"\x1b[9999;9999H",
        b"\x1b[H",
        b"\x1b[2147483647b",
        b"\x1b[2147483647S",
        b"\x1b[2147483647T",
        b"\x1b[2147483647L",
        b"\x1b[2147483647M",
        b"\x1b[2147483647P",
        b"\x1b[2147483647@",
        b"\x1b[2147483647X",
        b"\x1b[2147483647I",
        b"\x1b[2147483647Z",
        b"\x1b[2147483647 @",
        b"\x1b[2147483647 A",
        b"\x1b[2'}",
        b"\x1b[2147483647'~",
        b"\x1b[99999A",
        b"\x1b[99999B",
        b"\x1b[99999C",
        b"\x1b[99999D",
        b"\x1b[3g",
        b"\x1b[4:3m",
        b"\x1b[58:2::1:2:3m",
        b"\x1b[38;2;1;2;3;48;5;9m",
        b"\x1b[m",
        b"\x1b[1\"q",
        b"\x1b[?2J",
        b"\x1b]8;id=a;http://a\x07",
        b"\x1b]8;;\x1b\\",
        b"\x1b]2;t\x07",
        b"\x1b[22;0t",
        b"\x1b[23;0t",
        b"\x1b]133;A\x07",
        b"\x1b]7;file:///\x07",
        b"\x1b]4;1;#123\x07",
        b"\x1bP$qm\x1b\\",
        b"\x1b[>5u",
        b"\x1b[<9u",
        b"\x1b[6n",
        b"\x18",
        b"\xff",
        b"\xe2\x80",
    ];
    prop_oneof![
        3 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        2 => "[ -~]{1,40}".prop_map(String::into_bytes),
        2 => "[a漢e\u{301}👩\u{200d}🚀🇩\u{fe0f}한]{1,9}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => output().prop_map(Event::Output),
        1 => (2u16..40, 1u16..12).prop_map(|(columns, rows)| Event::Resize(columns, rows)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn survives(
        size in (2u16..40, 1u16..12),
        events in prop::collection::vec(event(), 0..60),
        cut in 1usize..30,
    ) {
        let mut screen = Screen::new(size.0, size.1);
        for event in &events {
            match event {
                Event::Output(output) => output.chunks(cut).for_each(|part| screen.advance(part)),
                Event::Resize(columns, rows) => screen.resize(*columns, *rows),
            }
            prop_assert!(screen.take_answers().len() < 64 * 1024);
        }
        let (snapshot, begun) = screen.snapshot();
        // Nothing in it is a question, and it is read back to its end, but for a sequence that is not over
        // and in which a control has been acted upon.
        let (columns, rows) = screen.size();
        let mut other = Screen::new(columns, rows);
        other.advance(&snapshot);
        prop_assert!(other.take_answers().is_empty());
        let left = usize::try_from(other.snapshot().1).unwrap();
        prop_assert!(left == 0 || begun == 0 && snapshot[snapshot.len() - left] == b'\x1b');
    }
}
