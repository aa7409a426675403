//! Where the chat model writes: on the processor, by our own kernels, or on a graphics device, by candle's. What it makes
//! of questions and passages is always read off the processor's decoder, whose inner states the probe was trained on.

use std::{
    path::Path,
    sync::{Arc, mpsc::Sender},
};

use candle_core::{Device, quantized::gguf_file::Content};

use super::{InferenceError, gguf_chat::ChatFormat, language_model_thread::Writing};
use crate::config::DeviceChoice;

/// The thread of the device, when there is one, and how the place is called.
pub(super) struct Writer {
    /// Takes answers to write; `None` where the decoder writes them.
    pub(super) jobs: Option<Sender<Writing>>,
    /// `cpu`, `cuda` or `metal`; with the reason where another one was asked for.
    pub(super) name: String,
}

impl Writer {
    /// The processor.
    fn cpu(why: Option<String>) -> Self {
        let name = match why {
            None => "cpu".to_owned(),
            Some(why) => {
                tracing::warn!("the chat model writes on the processor: {why}");
                format!("cpu ({why})")
            }
        };
        Self { jobs: None, name }
    }
}

/// Starts the device that the settings ask for. One that cannot be used is no error: the processor does its work, and the
/// name says why.
pub(super) fn start(choice: DeviceChoice, weights: &Path, head: Content, format: &Arc<ChatFormat>) -> Writer {
    let (name, device) = match choice {
        DeviceChoice::Auto if cfg!(feature = "cuda") => ("cuda", Device::new_cuda(0)),
        DeviceChoice::Auto if cfg!(feature = "metal") => ("metal", Device::new_metal(0)),
        DeviceChoice::Auto | DeviceChoice::Cpu => return Writer::cpu(None),
        DeviceChoice::Cuda => ("cuda", Device::new_cuda(0)),
        DeviceChoice::Metal => ("metal", Device::new_metal(0)),
    };
    let started = device.map_err(|error| InferenceError::failed("it does not open", error));
    let started = started.and_then(|device| start_on(device, weights, head, Arc::clone(format)));
    match started {
        Ok(jobs) => Writer { jobs: Some(jobs), name: name.to_owned() },
        Err(_) if choice == DeviceChoice::Cuda && !cfg!(feature = "cuda") => {
            Writer::cpu(Some("this build has no CUDA".to_owned()))
        }
        Err(_) if choice == DeviceChoice::Metal && !cfg!(feature = "metal") => {
            Writer::cpu(Some("this build has no Metal".to_owned()))
        }
        Err(error) => Writer::cpu(Some(format!("{name}: {error}"))),
    }
}

#[cfg(any(test, feature = "cuda", feature = "metal"))]
use super::candle_chat::start as start_on;

#[cfg(not(any(test, feature = "cuda", feature = "metal")))]
fn start_on(_: Device, _: &Path, _: Content, _: Arc<ChatFormat>) -> Result<Sender<Writing>, InferenceError> {
    Err(InferenceError::Failed("this build has no graphics devices".to_owned()))
}
