//! The engine's own attach: a container with a TTY, and the connection that the engine turns into a
//! stream for it.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    UploadToContainerOptionsBuilder,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::cpu::{Processes, children, named, with_argument};
use super::measure::{Connection, ready};
use super::wait::{Result, STEP, within};
use super::workload::{ECHO_SCRIPT, Workload, flood_script};

/// The image of every container here.
pub const IMAGE: &str = "shellport-test/debian:1";

/// What a container may use; the sessions of the other way have the same.
pub const CPUS: i64 = 2;
/// As [`CPUS`].
pub const MEMORY: i64 = 1 << 30;

/// Where a workload is in a container.
pub const DIRECTORY: &str = "/var/tmp";

/// Bytes asked for in one read.
const READ: usize = 64 * 1024;

/// An engine and the containers that were made in it.
pub struct Engine {
    /// Its name and version.
    pub version: String,
    docker: Docker,
    socket: String,
    containers: Vec<String>,
    flood: Option<(Attached, Processes)>,
    echo: Option<Attached>,
}

/// The stream of a container's TTY.
pub struct Attached {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Engine {
    /// The engine at this address.
    pub async fn new(address: &str) -> Result<Self> {
        let socket = address
            .strip_prefix("unix://")
            .ok_or("only an engine on this machine can be measured: unix://…")?;
        let docker = Docker::connect_with_host(address)?;
        let version = within("the engine's answer", STEP, docker.version()).await??;
        Ok(Self {
            version: format!("Docker Engine {}", version.version.unwrap_or_default()),
            docker,
            socket: socket.to_owned(),
            containers: Vec::new(),
            flood: None,
            echo: None,
        })
    }

    /// Starts the programs and attaches to them.
    pub async fn open(&mut self, workloads: &[Workload]) -> Result<()> {
        let (mut flood, container) = self
            .start(&flood_script(DIRECTORY.as_ref()), workloads)
            .await?;
        ready(&mut flood).await?;
        let processes = self.processes(&container).await?;
        self.flood = Some((flood, processes));
        let (mut echo, _) = self.start(ECHO_SCRIPT, &[]).await?;
        ready(&mut echo).await?;
        self.echo = Some(echo);
        Ok(())
    }

    /// The terminal that floods, and what serves it.
    pub fn flood(&mut self) -> Result<(&mut Attached, &Processes)> {
        let (attached, processes) = self.flood.as_mut().ok_or("not open")?;
        Ok((attached, processes))
    }

    /// The terminal that echoes.
    pub fn echo(&mut self) -> Result<&mut Attached> {
        Ok(self.echo.as_mut().ok_or("not open")?)
    }

    /// Makes a container, attaches to it, and starts it.
    async fn start(&mut self, script: &str, workloads: &[Workload]) -> Result<(Attached, String)> {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(["sh", "-c", script].map(str::to_owned).into()),
            tty: Some(true),
            open_stdin: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            host_config: Some(HostConfig {
                nano_cpus: Some(CPUS * 1_000_000_000),
                memory: Some(MEMORY),
                network_mode: Some("none".to_owned()),
                // The engine at its best: by default it would write all of it to a file as well.
                log_config: Some(HostConfigLogConfig {
                    typ: Some("none".to_owned()),
                    config: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let create = self
            .docker
            .create_container(None::<CreateContainerOptions>, body);
        let container = within("creating a container", STEP, create).await??.id;
        self.containers.push(container.clone());
        self.upload(&container, workloads).await?;
        let attached = within("attaching", STEP, self.attach(&container)).await??;
        let start = self
            .docker
            .start_container(&container, None::<StartContainerOptions>);
        within("starting a container", STEP, start).await??;
        Ok((attached, container))
    }

    /// Puts the workloads' files into a container.
    pub async fn upload(&self, container: &str, workloads: &[Workload]) -> Result<()> {
        if workloads.is_empty() {
            return Ok(());
        }
        let mut archive = tar::Builder::new(Vec::new());
        for workload in workloads {
            let mut header = tar::Header::new_ustar();
            header.set_size(workload.block.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, workload.file, &*workload.block)?;
        }
        let options = UploadToContainerOptionsBuilder::default()
            .path(DIRECTORY)
            .build();
        let body = bollard::body_full(archive.into_inner()?.into());
        let upload = self
            .docker
            .upload_to_container(container, Some(options), body);
        Ok(within("copying the workloads", STEP, upload).await??)
    }

    /// Attaches without a library in between, so that only the engine is measured.
    async fn attach(&self, container: &str) -> Result<Attached> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let request = format!(
            "POST /containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n\
             Host: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(format!("no attach: {}", String::from_utf8_lossy(&head)).into());
        }
        let buffer = vec![0; READ];
        Ok(Attached { stream, buffer })
    }

    /// The daemons that serve a container's TTY.
    async fn processes(&self, container: &str) -> Result<Processes> {
        let stream = UnixStream::connect(&self.socket).await?;
        let daemon = stream.peer_cred()?.pid();
        let daemon = daemon
            .and_then(|pid| u32::try_from(pid).ok())
            .ok_or("the engine has no process id here")?;
        // Its own, else the machine's.
        let mut containerd = children(daemon, "containerd");
        if containerd.is_empty() {
            containerd = named("containerd");
        }
        let shim = with_argument("containerd-shim", container);
        if containerd.is_empty() || shim.is_empty() {
            return Err("containerd and its shim are not found".into());
        }
        let mut all = vec![("dockerd", daemon)];
        all.extend(containerd.into_iter().map(|pid| ("containerd", pid)));
        all.extend(shim.into_iter().map(|pid| ("shim", pid)));
        Ok(Processes(all))
    }

    /// The container with this label, and the first process in it.
    pub async fn find(&self, label: String) -> Result<(String, u32)> {
        let options = ListContainersOptionsBuilder::default()
            .filters(&HashMap::from([("label", vec![label])]))
            .build();
        let list = self.docker.list_containers(Some(options));
        let found = within("listing containers", STEP, list).await??;
        let id = found.into_iter().next().and_then(|it| it.id);
        let id = id.ok_or("the session has no container")?;
        let inspect = self
            .docker
            .inspect_container(&id, None::<InspectContainerOptions>);
        let seen = within("inspecting", STEP, inspect).await??;
        let pid = seen.state.and_then(|state| state.pid);
        let pid = pid.and_then(|pid| u32::try_from(pid).ok());
        Ok((id, pid.ok_or("the container does not run")?))
    }

    /// Removes everything with this label, which is what a server left that was killed.
    pub async fn purge(&self, label: String) -> Result<()> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        for container in self.docker.list_containers(Some(options)).await? {
            self.remove(&container.id.unwrap_or_default()).await;
        }
        let options = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        for network in self.docker.list_networks(Some(options)).await? {
            let id = network.id.unwrap_or_default();
            self.docker.remove_network(&id).await?;
        }
        Ok(())
    }

    async fn remove(&self, container: &str) {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let remove = self.docker.remove_container(container, Some(options));
        if !matches!(within("removing", STEP, remove).await, Ok(Ok(()))) {
            println!("bench: the container {container} is left");
        }
    }

    /// Removes what was made.
    pub async fn clear(mut self) {
        for container in std::mem::take(&mut self.containers) {
            self.remove(&container).await;
        }
    }
}

impl Connection for Attached {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    async fn receive(&mut self) -> Result<&[u8]> {
        match self.stream.read(&mut self.buffer).await? {
            0 => Err("the engine closed the stream".into()),
            count => Ok(&self.buffer[..count]),
        }
    }
}
