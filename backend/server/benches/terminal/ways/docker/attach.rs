//! The engine's attach: a container whose first process is the shell.

use async_trait::async_trait;

use super::super::super::connection::Terminal;
use super::super::super::processes::Processes;
use super::super::super::wait::{Result, STEP, within};
use super::super::shellport::DIRECTORY;
use super::super::{Place, Way};
use super::engine::Engine;

/// A container for each terminal.
pub struct Attach(Engine);

impl Attach {
    /// On the engine of the tests.
    pub async fn new() -> Result<Self> {
        Ok(Self(Engine::new().await?))
    }
}

#[async_trait]
impl Way for Attach {
    fn name(&self) -> &'static str {
        "Docker attach"
    }

    fn key(&self) -> &'static str {
        "docker-attach"
    }

    fn directory(&self) -> &str {
        DIRECTORY
    }

    fn is_heavy(&self) -> bool {
        true
    }

    async fn place(&self) -> Result<Place> {
        Ok(Place(self.0.create(&["sh"]).await?))
    }

    async fn connect(&self, place: &Place) -> Result<Terminal> {
        let Place(container) = place;
        let path = format!("/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1");
        let attached = within("attaching", STEP, self.0.stream(&path, "")).await??;
        self.0.start(container).await?;
        Ok(Box::new(attached))
    }

    async fn serving(&self) -> Result<Processes> {
        self.0.serving().await
    }

    async fn clear(&self) {
        self.0.clear().await;
    }
}
