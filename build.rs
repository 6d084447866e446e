fn main() {
    gst_plugin_version_helper::info();
    #[cfg(feature = "tensorrt")]
    tensorrt::build();
}

/// The shim of TensorRT: compiled against the headers of the TensorRT that will be loaded.
#[cfg(feature = "tensorrt")]
mod tensorrt {
    use std::env;
    use std::path::{Path, PathBuf};

    const SHIM: &str = "src/hrnetinfer/tensorrt/shim.cpp";
    /// Where NVIDIA's packages put headers.
    const FOLDERS: [&str; 6] = [
        "/usr/include/x86_64-linux-gnu",
        "/usr/include/aarch64-linux-gnu",
        "/usr/include",
        "/usr/local/include",
        "/usr/local/tensorrt/include",
        "/opt/tensorrt/include",
    ];
    const CUDA: [&str; 2] = ["/usr/local/cuda/include", "/usr/include"];

    pub fn build() {
        println!("cargo::rerun-if-changed={SHIM}");
        println!("cargo::rerun-if-env-changed=TENSORRT_INCLUDE_DIR");
        let Some(headers) = headers() else {
            let places = FOLDERS.join(", ");
            println!(
                "cargo::error=feature tensorrt: no NvInfer.h in {places}. Install TensorRT's headers \
                 (package libnvinfer-headers-dev, or the archive of TensorRT or TensorRT for RTX) or \
                 set TENSORRT_INCLUDE_DIR to the folder that holds NvInfer.h: docs/engines.md"
            );
            return;
        };
        println!("cargo::rerun-if-changed={}", headers.join("NvInfer.h").display());
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .flag("-isystem")
            .flag(&headers)
            .flag("-isystem")
            .flag(cuda(&headers))
            .file(SHIM)
            .compile("hrnet_tensorrt");
    }

    fn headers() -> Option<PathBuf> {
        let own = env::var_os("TENSORRT_INCLUDE_DIR").map(PathBuf::from);
        let folders = match own {
            Some(folder) => vec![folder],
            None => FOLDERS.iter().map(PathBuf::from).collect(),
        };
        folders.into_iter().find(|f| f.join("NvInfer.h").is_file())
    }

    /// The folder of cuda_runtime_api.h, of which two type names are used: the toolkit's, else ours.
    fn cuda(headers: &Path) -> PathBuf {
        let has = |folder: &Path| folder.join("cuda_runtime_api.h").is_file();
        let home = env::var_os("CUDA_HOME").map(|h| Path::new(&h).join("include"));
        let mut folders =
            [headers.to_owned()].into_iter().chain(home).chain(CUDA.map(PathBuf::from));
        let own = Path::new("src/hrnetinfer/tensorrt/cuda");
        folders.find(|f| has(f)).unwrap_or_else(|| own.to_owned())
    }
}
