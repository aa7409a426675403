//! `shoptalk models`: what is there, fetch it, check it.

use crate::{config::Config, models::VerifyReport};

/// Shows every known model.
pub fn list(config: &Config) -> anyhow::Result<()> {
    println!("{:26} {:8} {:>8}  {:12} HERE", "NAME", "ROLE", "SIZE", "LICENCE");
    for model in super::model_store(config)?.list() {
        println!(
            "{:26} {:8} {:>5} MB  {:12} {}",
            model.name,
            format!("{:?}", model.role).to_lowercase(),
            model.bytes / 1_000_000,
            model.licence,
            if model.cached.is_some() { "yes" } else { "no" },
        );
    }
    Ok(())
}

/// Fetches models; without names, those that the settings name.
pub async fn pull(config: &Config, names: &[String]) -> anyhow::Result<()> {
    let models = &config.models;
    let chat = if models.remote.is_none() { models.chat.clone() } else { String::new() };
    let configured = [models.encoder.clone(), models.english_encoder.clone(), chat];
    let names = if names.is_empty() { &configured[..] } else { names };
    let store = super::model_store(config)?;
    for name in names.iter().filter(|name| !name.is_empty()) {
        let files = store.pull(name).await?;
        println!("✓ {name}: {}", files.dir.display());
    }
    Ok(())
}

/// Hashes every file that is here; `false` when one is not what it should be.
pub fn verify(config: &Config, names: &[String]) -> anyhow::Result<bool> {
    let store = super::model_store(config)?;
    let mut reports = Vec::new();
    if names.is_empty() {
        reports = store.verify(None)?;
    }
    for name in names {
        reports.extend(store.verify(Some(name))?);
    }
    for report in &reports {
        if report.is_intact() {
            println!("✓ {} {}", report.model, report.file.display());
        } else {
            let found = report.found.as_deref().unwrap_or("nothing");
            println!(
                "✗ {} {}: sha256 should be {}, is {found}; delete the file and run `shoptalk models pull {}`",
                report.model,
                report.file.display(),
                report.expected,
                report.model
            );
        }
    }
    Ok(reports.iter().all(VerifyReport::is_intact))
}
