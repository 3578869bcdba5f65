//! Docker Engine by itself, through its own API: what a session costs there without Shellport.

use std::time::Instant;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt};

use super::wait::{Result, STEP, within};

/// An engine.
pub struct Engine {
    docker: Docker,
    image: &'static str,
}

impl Engine {
    /// The engine at this address, for containers of this image.
    pub fn new(address: &str, image: &'static str) -> Result<Self> {
        let docker = Docker::connect_with_host(address)?;
        Ok(Self { docker, image })
    }

    /// A container from its request to its end; milliseconds of each step.
    pub async fn live(&self) -> Result<Vec<f64>> {
        let mut at = Instant::now();
        let mut step = || {
            let time = at.elapsed().as_secs_f64() * 1000.0;
            at = Instant::now();
            time
        };
        let container = self.open().await?;
        let created = step();
        self.exec(&container).await?;
        let executed = step();
        let options = StopContainerOptionsBuilder::default().t(5).build();
        let stop = self.docker.stop_container(&container, Some(options));
        within("stopping", STEP, stop).await??;
        let stopped = step();
        self.delete(&container).await?;
        Ok(vec![created, executed, stopped, step()])
    }

    /// Makes a container with what a session has, and waits for the prompt of its terminal.
    pub async fn open(&self) -> Result<String> {
        let body = ContainerCreateBody {
            image: Some(self.image.to_owned()),
            cmd: Some(vec!["sh".to_owned()]),
            tty: Some(true),
            open_stdin: Some(true),
            // An interactive shell ignores SIGTERM.
            stop_signal: Some("SIGHUP".to_owned()),
            host_config: Some(HostConfig {
                init: Some(true),
                nano_cpus: Some(2_000_000_000),
                memory: Some(1 << 30),
                pids_limit: Some(512),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let create = self
            .docker
            .create_container(None::<CreateContainerOptions>, body);
        let container = within("creating a container", STEP, create).await??.id;
        let options = AttachContainerOptionsBuilder::default()
            .stdin(true)
            .stdout(true)
            .stream(true)
            .build();
        let attach = self.docker.attach_container(&container, Some(options));
        let AttachContainerResults { output, input } = within("attaching", STEP, attach).await??;
        let start = self
            .docker
            .start_container(&container, None::<StartContainerOptions>);
        within("starting a container", STEP, start).await??;
        within("the prompt", STEP, prompt(output)).await??;
        drop(input);
        Ok(container)
    }

    async fn exec(&self, container: &str) -> Result<()> {
        let config = ExecConfig {
            cmd: Some(vec!["true".to_owned()]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.docker.create_exec(container, config).await?.id;
        let started = self.docker.start_exec(&exec, None::<StartExecOptions>);
        if let StartExecResults::Attached { mut output, .. } = started.await? {
            while output.next().await.is_some() {}
        }
        match self.docker.inspect_exec(&exec).await?.exit_code {
            Some(0) => Ok(()),
            code => Err(format!("the command fails: {code:?}").into()),
        }
    }

    /// Removes a container.
    pub async fn delete(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let remove = self.docker.remove_container(container, Some(options));
        Ok(within("removing", STEP, remove).await??)
    }
}

async fn prompt(
    mut output: impl Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>> + Unpin,
) -> Result<()> {
    let mut seen = Vec::new();
    while let Some(part) = output.next().await {
        seen.extend_from_slice(&part?.into_bytes());
        if seen.windows(2).any(|it| it == b"# ") {
            return Ok(());
        }
    }
    Err("the terminal has ended".into())
}
