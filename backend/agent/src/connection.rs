//! One connection of a server.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use shellport_wire::agent::{Refusal, RefusalCode, Request, Response};
use shellport_wire::frame::Frame;
use tokio::net::UnixStream;

use crate::agent::Agent;
use crate::link::{FrameReader, FrameWriter};
use crate::{dial, exec, terminal};

/// Answers requests until the server goes, or until one turns the connection into a stream.
///
/// # Errors
/// Those of the connection.
pub async fn serve(agent: Rc<Agent>, stream: UnixStream) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut reader = FrameReader::new(reader);
    let mut writer = FrameWriter::new(writer);
    while let Some(bytes) = reader.next().await? {
        let response = match parse(&bytes) {
            Ok(Request::Attach(attach)) => match agent.attach(&attach) {
                Ok((terminal, fresh)) => {
                    let _active = agent.activity();
                    return terminal::serve(terminal, attach, fresh, &mut reader, &mut writer)
                        .await;
                }
                Err(refusal) => Response::Error(refusal),
            },
            Ok(Request::Exec(wish)) => match agent.exec(&wish) {
                Ok(exec) => {
                    let _active = agent.activity();
                    let from = wish.since.into();
                    return exec::serve(exec, from, &mut reader, &mut writer).await;
                }
                Err(refusal) => Response::Error(refusal),
            },
            Ok(Request::Follow(follow)) => match agent.execs().find(&follow.exec) {
                Ok(exec) => {
                    let _active = agent.activity();
                    let from = follow.since.into();
                    return exec::serve(exec, from, &mut reader, &mut writer).await;
                }
                Err(refusal) => Response::Error(refusal),
            },
            Ok(Request::Feed { exec: name }) => match agent.execs().find(&name) {
                Ok(exec) => {
                    let _active = agent.activity();
                    return exec::feed(exec, &mut reader, &mut writer).await;
                }
                Err(refusal) => Response::Error(refusal),
            },
            Ok(Request::Events) => {
                let events = agent.events();
                return events
                    .serve(|| agent.status(), &mut reader, &mut writer)
                    .await;
            }
            Ok(Request::Dial { port }) => match dial::connect(port).await {
                Ok(tcp) => {
                    let _active = agent.activity();
                    writer.message(&Response::Done).await?;
                    return dial::join(tcp, reader, writer).await;
                }
                Err(refusal) => Response::Error(refusal),
            },
            Ok(request) => answer(&agent, request)
                .await
                .unwrap_or_else(Response::Error),
            Err(refusal) => Response::Error(refusal),
        };
        writer.message(&response).await?;
    }
    Ok(())
}

async fn answer(agent: &Rc<Agent>, request: Request) -> Result<Response, Refusal> {
    Ok(match request {
        Request::Open(open) => Response::Terminal(agent.open(open)?.describe()),
        Request::Close { terminal } => {
            agent.close(&terminal).await?;
            Response::Done
        }
        Request::Resize { terminal, size } => {
            let terminal = agent.find(&terminal)?;
            terminal.resize(size)?;
            Response::Terminal(terminal.describe())
        }
        Request::Terminals => Response::Terminals {
            terminals: agent.terminals(),
        },
        Request::Commands { terminal, after } => {
            let (commands, more) = agent.find(&terminal)?.commands(after);
            Response::Commands { commands, more }
        }
        Request::Status => Response::Status(agent.status()),
        Request::Shutdown { grace_ms } => {
            agent.shut_down(Duration::from_millis(grace_ms)).await;
            Response::Done
        }
        Request::Execs { after } => {
            let (execs, more) = agent.execs().list(after);
            Response::Execs { execs, more }
        }
        Request::LookAtExec { exec } => Response::Execs {
            execs: vec![agent.execs().look_at(&exec)?],
            more: false,
        },
        Request::SignalExec { exec, signal } => {
            agent.execs().signal(&exec, &signal).await?;
            Response::Done
        }
        Request::StopExec {
            exec,
            grace_ms,
            forget,
        } => {
            let grace = Duration::from_millis(grace_ms);
            agent.execs().stop(&exec, grace).await?;
            if forget {
                agent.execs().forget(&exec);
            }
            Response::Done
        }
        Request::Attach(_)
        | Request::Exec(_)
        | Request::Follow(_)
        | Request::Feed { .. }
        | Request::Events
        | Request::Dial { .. } => unreachable!("they are streams"),
    })
}

fn parse(bytes: &[u8]) -> Result<Request, Refusal> {
    let invalid = |message| Refusal {
        code: RefusalCode::Invalid,
        message,
    };
    match Frame::decode(bytes) {
        Ok(Frame::Message(text)) => {
            serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))
        }
        Ok(Frame::Bytes { .. }) => Err(invalid("a request is a JSON message".to_owned())),
        Err(error) => Err(invalid(error.to_string())),
    }
}
