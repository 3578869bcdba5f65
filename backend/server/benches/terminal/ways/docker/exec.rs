//! The engine's exec: shells in one container, over the engine's API.

use async_trait::async_trait;
use bollard::models::ExecConfig;

use super::super::super::connection::Terminal;
use super::super::super::processes::Processes;
use super::super::super::wait::{Result, STEP, within};
use super::super::shellport::DIRECTORY;
use super::super::{Place, Way};
use super::engine::Engine;

/// A container, and an exec in it for each terminal.
pub struct Exec {
    engine: Engine,
    container: String,
}

impl Exec {
    /// Starts the container on the engine of the tests.
    pub async fn new() -> Result<Self> {
        let engine = Engine::new().await?;
        let container = engine.create(&["sleep", "infinity"]).await?;
        engine.start(&container).await?;
        Ok(Self { engine, container })
    }
}

#[async_trait]
impl Way for Exec {
    fn name(&self) -> &'static str {
        "Docker exec"
    }

    fn key(&self) -> &'static str {
        "docker-exec"
    }

    fn directory(&self) -> &str {
        DIRECTORY
    }

    async fn connect(&self, _: &Place) -> Result<Terminal> {
        let config = ExecConfig {
            cmd: Some(vec!["sh".to_owned()]),
            tty: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let create = self.engine.docker.create_exec(&self.container, config);
        let exec = within("creating an exec", STEP, create).await??.id;
        let path = format!("/exec/{exec}/start");
        let body = r#"{"Detach":false,"Tty":true}"#;
        let stream = self.engine.stream(&path, body);
        Ok(Box::new(within("starting an exec", STEP, stream).await??))
    }

    async fn serving(&self) -> Result<Processes> {
        self.engine.serving().await
    }

    async fn clear(&self) {
        self.engine.clear().await;
    }
}
