//! An engine, the containers that were made in it, and connections that it turns into streams.

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
    UploadToContainerOptionsBuilder,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::super::super::connection::Connection;
use super::super::super::processes::{Processes, find, parent};
use super::super::super::wait::{Result, STEP, within};
use super::super::super::workload::files;
use super::super::docker_address;
use super::super::shellport::{CPUS, DIRECTORY, IMAGE, MEMORY};

/// Bytes asked for in one read.
const READ: usize = 64 * 1024;

/// An engine.
pub struct Engine {
    /// The interface that it has for programs.
    pub docker: Docker,
    /// Where that is, with its scheme.
    pub address: String,
    socket: String,
    containers: Mutex<Vec<String>>,
}

impl Engine {
    /// The one of the tests.
    pub async fn new() -> Result<Self> {
        let address = docker_address()?;
        let socket = address
            .strip_prefix("unix://")
            .ok_or("only an engine on this machine can be measured: unix://…")?;
        let docker = Docker::connect_with_host(&address)?;
        within("the engine's answer", STEP, docker.version()).await??;
        Ok(Self {
            docker,
            socket: socket.to_owned(),
            address,
            containers: Mutex::new(Vec::new()),
        })
    }

    /// Makes a container with this command and all files.
    pub async fn create(&self, command: &[&str]) -> Result<String> {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(command.iter().map(|&it| it.to_owned()).collect()),
            tty: Some(true),
            open_stdin: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            host_config: Some(HostConfig {
                nano_cpus: Some(CPUS * 1_000_000_000),
                memory: Some(MEMORY),
                network_mode: Some("none".to_owned()),
                init: Some(true),
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
        self.containers.lock().await.push(container.clone());
        let mut archive = tar::Builder::new(Vec::new());
        for (file, contents) in files() {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, file, contents)?;
        }
        let options = UploadToContainerOptionsBuilder::default()
            .path(DIRECTORY)
            .build();
        let body = bollard::body_full(archive.into_inner()?.into());
        let upload = self
            .docker
            .upload_to_container(&container, Some(options), body);
        within("copying the files", STEP, upload).await??;
        Ok(container)
    }

    /// Starts a container.
    pub async fn start(&self, container: &str) -> Result<()> {
        let start = self
            .docker
            .start_container(container, None::<StartContainerOptions>);
        Ok(within("starting a container", STEP, start).await??)
    }

    /// Asks for a stream without a library in between, so that only the engine is measured.
    pub async fn stream(&self, path: &str, body: &str) -> Result<Attached> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(format!("no stream: {}", String::from_utf8_lossy(&head)).into());
        }
        let buffer = vec![0; READ];
        Ok(Attached { stream, buffer })
    }

    /// The daemons, and the shims of the containers that were made here.
    pub async fn serving(&self) -> Result<Processes> {
        let stream = UnixStream::connect(&self.socket).await?;
        let daemon = stream.peer_cred()?.pid();
        let daemon = daemon
            .and_then(|pid| u32::try_from(pid).ok())
            .ok_or("the engine has no process id here")?;
        // Its own, else the machine's.
        let all = find(|name, _| name == "containerd");
        let is_own = |pid: &u32| parent(*pid).is_ok_and(|parent| parent == daemon);
        let own: Vec<u32> = all.iter().copied().filter(is_own).collect();
        let mut processes = Processes::default();
        processes.add("dockerd", daemon)?;
        for pid in if own.is_empty() { all } else { own } {
            processes.add("containerd", pid)?;
        }
        let containers = self.containers.lock().await;
        let is_shim = |name: &str, arguments: &[&str]| {
            let of_ours = |argument: &&str| containers.iter().any(|it| it == argument);
            name.starts_with("containerd-shim") && arguments.iter().any(of_ours)
        };
        for pid in find(is_shim) {
            processes.add("shim", pid)?;
        }
        Ok(processes)
    }

    /// Removes the containers.
    pub async fn clear(&self) {
        for container in std::mem::take(&mut *self.containers.lock().await) {
            let options = RemoveContainerOptionsBuilder::default()
                .force(true)
                .v(true)
                .build();
            let remove = self.docker.remove_container(&container, Some(options));
            if !matches!(within("removing", STEP, remove).await, Ok(Ok(()))) {
                println!("bench: the container {container} is left");
            }
        }
    }
}

/// The stream of a TTY.
pub struct Attached {
    stream: UnixStream,
    buffer: Vec<u8>,
}

#[async_trait]
impl Connection for Attached {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    async fn receive(&mut self) -> Result<Option<&[u8]>> {
        match self.stream.read(&mut self.buffer).await? {
            0 => Ok(None),
            count => Ok(Some(&self.buffer[..count])),
        }
    }
}
