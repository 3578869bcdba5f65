//! Terminals for programs: looking, typing, waiting, and what a shell has run.

use hyper::Method;
use serde_json::{Value, json};

use crate::support::backend::on_backends;
use crate::support::http::{Answer, Client};
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until};
use crate::support::websocket::open;

/// A shell that marks its prompts and commands as `bash` and others do when they are told to.
const MARKING: &str = r#"
    exit=
    while true; do
        printf '\033]133;D%s\007\033]133;A\007$ \033]7;file://box%s\007\033]133;B\007' "$exit" "$PWD"
        IFS= read -r line || exit 0
        printf '\033]133;C\007'
        eval "$line"
        exit=";$?"
    done
"#;

/// Opens a terminal called `t` in which this line runs; returns its address.
async fn terminal(client: &Client, session: &str, line: &str) -> String {
    let wish = json!({"name": "t", "cols": 20, "rows": 5, "command": ["/bin/sh", "-c", line]});
    let all = Client::path(session, "/terminals");
    client.post(&all, &wish).await.expect(201);
    format!("{all}/t")
}

/// What it shows, in this form.
async fn screen(client: &Client, terminal: &str, query: &str, accept: &str) -> Answer {
    let address = format!("{terminal}/screen{query}");
    let headers = [("accept", accept)];
    client.bytes(Method::GET, &address, &headers, "").await
}

async fn wait(client: &Client, terminal: &str, wish: Value) -> Value {
    client
        .post(&format!("{terminal}/wait"), &wish)
        .await
        .expect(200)
}

async fn give(client: &Client, terminal: &str, wish: Value) -> Value {
    client
        .post(&format!("{terminal}/input"), &wish)
        .await
        .expect(200)
}

async fn a_screen_has_four_forms(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = r"printf 'one\ntwo\nthree\nfour\n\033[1;31mred\033[0m <b>\n\033]0;a title\007tail'; sleep 1000";
    let t = terminal(client, &session, line).await;
    let waited = wait(client, &t, json!({"text": "tail"})).await;
    assert_eq!(
        (&waited["reason"], &waited["matched"]),
        (&json!("text"), &json!("tail"))
    );

    let text = screen(client, &t, "", "*/*").await;
    assert_eq!(
        (text.status.as_u16(), text.text()),
        (200, "two\nthree\nfour\nred <b>\ntail\n".to_owned())
    );
    assert!(text.header("content-type").starts_with("text/plain"));
    assert_eq!(
        screen(client, &t, "?from=-5&to=1", "text/plain")
            .await
            .text(),
        "one\ntwo\n"
    );

    let shown = screen(client, &t, "?from=-1", "application/json")
        .await
        .expect(200);
    assert_eq!(
        (&shown["cols"], &shown["rows"], &shown["history"]),
        (&json!(20), &json!(5), &json!(1))
    );
    assert_eq!(
        (&shown["title"], &shown["from"]),
        (&json!("a title"), &json!(-1))
    );
    assert_eq!(shown["cursor"], json!({"x": 4, "y": 4, "visible": true}));
    assert_eq!(shown["lines"][0]["text"], "one");
    let red = json!({"text": "red", "x": 0, "cols": 3, "fg": "#cc0000", "look": ["bold"]});
    assert_eq!(shown["lines"][4]["cells"][0], red);
    assert_eq!(shown["offset"], waited["offset"]);

    let page = screen(client, &t, "", "text/html").await;
    assert!(
        page.text().contains("red</span> &lt;b&gt;"),
        "{}",
        page.text()
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox"),
        "{policy}"
    );
    let picture = screen(client, &t, "", "image/svg+xml").await;
    assert!(picture.text().starts_with("<svg "), "{}", picture.text());

    let refused = screen(client, &t, "", "audio/ogg").await;
    refused.expect_problem(406, "not_acceptable", &["image/svg+xml"]);
    // Looking starts nothing.
    let main = Client::path(&session, "/terminals/main");
    let missing = screen(client, &main, "", "*/*").await;
    missing.expect_problem(404, "terminal_not_found", &["main"]);
}
on_backends!(a_screen_has_four_forms: docker, podman, exec, process, embedded, crun, rootless);

/// A conversation without a poll: each answer is waited for behind what was typed.
async fn a_dialogue_needs_no_polling(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line =
        r#"printf 'name? '; read name; printf 'hello %s, 17 passed\n' "$name"; read rest; exit 7"#;
    let t = terminal(client, &session, line).await;
    wait(client, &t, json!({"text": "name? ", "since": 0})).await;
    let typed = give(client, &t, json!({"text": "world", "keys": ["Enter"]})).await;
    assert_eq!(typed["sequence"], 6);
    let wish = json!({"regex": r"^hello (\w+), (\d+) (x)?", "since": typed["offset"]});
    let waited = wait(client, &t, wish).await;
    assert_eq!(waited["groups"], json!(["world", "17", null]));
    assert_eq!(waited["matched"], "hello world, 17 ");
    assert_eq!(waited["before"], "world\n");
    // From there on, only what comes after it counts.
    let wish = json!({"text": "hello", "since": waited["offset"], "timeout": "300ms"});
    let late = wait(client, &t, wish).await;
    assert_eq!(
        (&late["reason"], &late["before"]),
        (&json!("timeout"), &json!("passed\n"))
    );
    let idle = wait(client, &t, json!({"idle": "200ms"})).await;
    assert_eq!(idle["reason"], "idle");
    give(client, &t, json!({"keys": ["Enter"]})).await;
    let ended = wait(client, &t, json!({"exit": true})).await;
    assert_eq!(ended["reason"], "exit");
    assert_eq!(
        ended["exit"],
        json!({"code": 7, "signal": null, "reason": "exited"})
    );
    let refused = client
        .post(&format!("{t}/input"), &json!({"text": "x"}))
        .await;
    refused.expect_problem(409, "terminal_ended", &["\"t\""]);
}
on_backends!(a_dialogue_needs_no_polling: docker, podman, exec, process, embedded, crun, rootless);

/// Keys are what the program has asked for, and a paste is in brackets where it wants them.
async fn keys_are_what_the_program_wants(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = r"stty raw -echo; printf 'plain\n'; dd bs=1 count=9 2>/dev/null | od -An -c;
        printf '\033[?1h\033[?2004happlication\n'; dd bs=1 count=19 2>/dev/null | od -An -c; sleep 1000";
    let t = terminal(client, &session, line).await;
    let ready = wait(client, &t, json!({"text": "plain", "since": 0})).await;
    give(
        client,
        &t,
        json!({"text": "ab", "paste": true, "keys": ["Up", "Alt+x", "Ctrl+C", "F1"]}),
    )
    .await;
    let ready = wait(
        client,
        &t,
        json!({"text": "application", "since": ready["offset"]}),
    )
    .await;
    let before = ready["before"]
        .as_str()
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>();
    assert_eq!(
        before,
        "a b 033 [ A 033 x 003 033".split(' ').collect::<Vec<_>>()
    );
    let typed = give(
        client,
        &t,
        json!({"text": "cd", "paste": true, "keys": ["Down"]}),
    )
    .await;
    let wish = json!({"regex": r"O\s+B", "since": typed["offset"]});
    let heard = wait(client, &t, wish).await;
    let heard = format!(
        "{}{}",
        heard["before"].as_str().unwrap(),
        heard["matched"].as_str().unwrap()
    );
    // Two bytes of F1 were still to be read.
    let heard: Vec<_> = heard.split_whitespace().collect();
    assert_eq!(
        heard.join(" "),
        "O P 033 [ 2 0 0 ~ c d 033 [ 2 0 1 ~ 033 O B"
    );
}
on_backends!(keys_are_what_the_program_wants: process, docker);

/// A program that types is not the writer: the size stays, and whoever has the role keeps it.
async fn who_types_takes_nothing_over(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let t = terminal(client, &session, "cat").await;
    let path = format!("{t}/attach?cols=33&rows=7");
    let writer = open(client, &path, &[]).await.unwrap();
    let sized = async || {
        let view = client.get(&t).await.expect(200);
        (view["cols"] == 33 && view["viewers"] == 1).then_some(())
    };
    until("the writer is there", LONG, sized).await;
    give(client, &t, json!({"text": "typed", "keys": ["Enter"]})).await;
    wait(client, &t, json!({"regex": "typed\ntyped", "since": 0})).await;
    until("only the writer is left, with its size", LONG, sized).await;
    drop(writer);
}
on_backends!(who_types_takes_nothing_over: process, docker);

/// A request that is made again types nothing twice, and one that would leave a hole is refused.
async fn input_is_typed_once(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let t = terminal(client, &session, "stty -echo; printf ready; cat").await;
    wait(client, &t, json!({"text": "ready", "since": 0})).await;
    let wish = json!({"text": "once\n", "client": "c", "sequence": 0});
    assert_eq!(give(client, &t, wish.clone()).await["sequence"], 5);
    assert_eq!(give(client, &t, wish).await["sequence"], 5);
    let rest = json!({"text": "once\nmore\n", "client": "c", "sequence": 0});
    assert_eq!(give(client, &t, rest).await["sequence"], 10);
    let hole = json!({"text": "x", "client": "c", "sequence": 11});
    let refused = client.post(&format!("{t}/input"), &hole).await;
    let problem = refused.expect_problem(409, "wrong_sequence", &["11", "10"]);
    assert_eq!(problem["field"], "sequence");
    let heard = wait(client, &t, json!({"text": "more\n", "since": 0})).await;
    assert_eq!(heard["before"], "readyonce\n");
    // More than there is room for, as the program reads it.
    let much = json!({"text": "y".repeat(1000) + "\n", "client": "d"});
    for _ in 0..300 {
        give(client, &t, much.clone()).await;
    }
    let typed = give(client, &t, json!({"text": "end\n"})).await;
    wait(
        client,
        &t,
        json!({"text": "end\n", "since": typed["offset"]}),
    )
    .await;
}
on_backends!(input_is_typed_once: process, docker, embedded);

/// Where a shell marks its prompts, each command is an object, and its output can be read.
async fn a_shell_tells_of_its_commands(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let t = terminal(client, &session, MARKING).await;
    let ready = wait(client, &t, json!({"prompt": true, "since": 0})).await;
    assert_eq!(
        (&ready["reason"], &ready["before"]),
        (&json!("prompt"), &json!(""))
    );
    for (line, output) in [
        ("cd /tmp", ""),
        ("printf 'a\\nb\\n'; false", "a\nb\n"),
        ("sleep 0.2", ""),
    ] {
        let typed = give(client, &t, json!({"text": line, "keys": ["Enter"]})).await;
        let ready = wait(
            client,
            &t,
            json!({"prompt": true, "since": typed["offset"]}),
        )
        .await;
        assert_eq!(ready["reason"], "prompt", "{ready}");
        let before = ready["before"].as_str().unwrap();
        assert!(before.ends_with(&format!("{line}\n{output}")), "{ready}");
        let shown = screen(client, &t, "", "application/json").await.expect(200);
        assert_eq!(shown["at_prompt"], true);
    }
    give(client, &t, json!({"text": "sleep 1000", "keys": ["Enter"]})).await;
    let commands = until("the last one runs", LONG, async || {
        let list = client.get(&format!("{t}/commands")).await.expect(200);
        let data = list["data"].as_array().unwrap().clone();
        (data.len() == 4).then_some(data)
    })
    .await;
    let [cd, failed, slept, running] = <[Value; 4]>::try_from(commands).unwrap();
    assert_eq!(
        (&cd["text"], &cd["exit_code"]),
        (&json!("cd /tmp"), &json!(0))
    );
    assert_eq!(
        (&failed["text"], &failed["exit_code"]),
        (&json!("printf 'a\\nb\\n'; false"), &json!(1))
    );
    assert_eq!(failed["directory"], "file://box/tmp");
    assert!(slept["duration_ms"].as_u64() >= Some(200), "{slept}");
    assert_eq!(
        (&running["running"], &running["to"]),
        (&json!(true), &Value::Null)
    );
    let range = format!("?from={}&to={}", failed["from"], failed["to"]);
    let output = client.get(&format!("{t}/output{range}")).await;
    assert_eq!(
        (output.status.as_u16(), output.text()),
        (200, "a\r\nb\r\n".to_owned())
    );
    let after = client
        .get(&format!("{t}/commands?cursor=3"))
        .await
        .expect(200);
    assert_eq!(after["data"].as_array().unwrap().len(), 1);
    assert_eq!(after["next_cursor"], Value::Null);
}
on_backends!(a_shell_tells_of_its_commands: process, docker, embedded);

/// The output is there byte for byte, or as text, as long as it is kept.
async fn output_is_read_as_far_as_it_is_kept(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = r"stty -onlcr; printf '\033[1mbold\033[0m x\by\r\n'; i=0; while [ $i -lt 200000 ]; do echo $i; i=$((i+1)); done; printf done; sleep 1000";
    let t = terminal(client, &session, line).await;
    let view = until("its end", LONG, async || {
        let shown = screen(client, &t, "", "*/*").await.text();
        if !shown.ends_with("done\n") {
            return None;
        }
        Some(client.get(&t).await.expect(200))
    })
    .await;
    let end = view["offset"].as_u64().unwrap();
    let lines: Vec<String> = (0..200_000).map(|i| i.to_string()).collect();
    let lines = lines.join("\n");
    let expected = format!("\x1b[1mbold\x1b[0m x\x08y\r\n{lines}\ndone");
    assert_eq!(end, expected.len() as u64);
    let from = end - 700_000;
    let read = client.get(&format!("{t}/output?from={from}")).await;
    assert!(
        read.text() == expected[usize::try_from(from).unwrap()..],
        "{} bytes",
        read.body.len()
    );
    let all = client.get(&format!("{t}/output")).await;
    assert!(
        expected.ends_with(&all.text()) && all.body.len() > 1_000_000,
        "{} bytes",
        all.body.len()
    );
    let gone = client.get(&format!("{t}/output?from=3")).await;
    gone.expect_problem(410, "output_gone", &["3"]);
    let beyond = client.get(&format!("{t}/output?to={}", end + 1)).await;
    beyond.expect_problem(409, "wrong_offset", &[&end.to_string()]);
    let turned = client.get(&format!("{t}/output?from={end}&to=5")).await;
    turned.expect_problem(400, "invalid_request", &["behind 5"]);
    let plain = format!("{t}/output?from={}", end - 9);
    let plain = client
        .bytes(Method::GET, &plain, &[("accept", "text/plain")], "")
        .await;
    assert_eq!(plain.text(), expected[expected.len() - 9..]);
    // What is no longer kept cannot have what is waited for, and that is told.
    let waited = wait(client, &t, json!({"text": "done", "since": 3})).await;
    assert!(waited["missed"].as_u64() > Some(0), "{}", waited["missed"]);
    assert_eq!(waited["offset"], end);
}
on_backends!(output_is_read_as_far_as_it_is_kept: process, embedded);

/// A line that is not finished yet is waited for, and reading output holds no program up.
async fn a_program_is_neither_cut_short_nor_held_up(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = "printf 'total: 12'; printf '34\\n'; read go; while :; do echo line; done";
    let t = terminal(client, &session, line).await;
    let wish = json!({"regex": r"^total: (\d+)$", "since": 0});
    assert_eq!(wait(client, &t, wish).await["groups"], json!(["1234"]));
    give(client, &t, json!({"keys": ["Enter"]})).await;
    let offset = async || client.get(&t).await.expect(200)["offset"].as_u64();
    until("the journal is full", LONG, async || {
        (offset().await > Some(2 << 20)).then_some(())
    })
    .await;
    let address = format!("{t}/output");
    let stalled = client.stream(Method::GET, &address, &[], None).await;
    let stalled = stalled.unwrap_or_else(|answer| panic!("{answer:?}"));
    let before = offset().await.unwrap_or_default();
    until("it goes on", LONG, async || {
        (offset().await > Some(before + (4 << 20))).then_some(())
    })
    .await;
    drop(stalled);
}
on_backends!(a_program_is_neither_cut_short_nor_held_up: process, docker);

async fn nonsense_is_refused_by_name(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let t = terminal(client, &session, "cat").await;
    for (what, wish, field, words) in [
        ("input", json!({}), "text", &["text, keys"][..]),
        (
            "input",
            json!({"keys": ["Enter", "Hyper+x"]}),
            "keys[1]",
            &["Hyper+x", "Ctrl+C"],
        ),
        (
            "input",
            json!({"text": "x", "sequence": 1}),
            "sequence",
            &["client"],
        ),
        (
            "input",
            json!({"text": "x", "client": "a b"}),
            "client",
            &["letters"],
        ),
        ("input", json!({"txt": "x"}), "txt", &["txt"]),
        ("wait", json!({}), "text", &["regex", "idle"]),
        ("wait", json!({"regex": "("}), "regex", &["unclosed"]),
        ("wait", json!({"text": ""}), "text", &["empty"]),
        ("wait", json!({"idle": "soon"}), "idle", &["soon"]),
    ] {
        let answer = client.post(&format!("{t}/{what}"), &wish).await;
        let problem = answer.expect_problem(400, "invalid_request", words);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let long = json!({"exit": true, "timeout": "1000h"});
    let refused = client.post(&format!("{t}/wait"), &long).await;
    refused.expect_problem(422, "not_allowed", &["timeout", "longer than"]);
    let ahead = client
        .post(&format!("{t}/wait"), &json!({"text": "x", "since": 99}))
        .await;
    ahead.expect_problem(409, "wrong_offset", &["99"]);
    for what in ["input", "wait"] {
        let nowhere = Client::path(&session, &format!("/terminals/none/{what}"));
        let wish = json!({"text": "x"});
        let answer = client.post(&nowhere, &wish).await;
        answer.expect_problem(404, "terminal_not_found", &["none"]);
    }
    let wish = json!({"name": "large", "cols": 1000, "rows": 300, "command": ["cat"]});
    let all = Client::path(&session, "/terminals");
    client.post(&all, &wish).await.expect(201);
    let large = format!("{all}/large");
    let refused = screen(client, &large, "", "application/json").await;
    let problem = refused.expect_problem(413, "too_large", &["300000", "fewer lines"]);
    assert_eq!(problem["field"], "from");
    assert_eq!(
        screen(client, &large, "", "text/plain")
            .await
            .status
            .as_u16(),
        200
    );
    screen(client, &large, "?to=10", "application/json")
        .await
        .expect(200);
    let nowhere = Client::path(&session, "/terminals/none/commands");
    client
        .get(&nowhere)
        .await
        .expect_problem(404, "terminal_not_found", &["none"]);
}
on_backends!(nonsense_is_refused_by_name: process);
