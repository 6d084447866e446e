// The few calls of TensorRT that the plugin needs, with C linkage.
//
// TensorRT's interfaces are virtual C++ classes: the same source serves 8.6 to 11 and TensorRT for
// RTX 1.x, but what was compiled against one version's headers can't call another's library. So
// this file is compiled against the headers of the library that will be loaded, and hrt_open()
// refuses any other before it makes an object of it. Libraries are opened by dlopen(): nothing is
// linked. No exception leaves this file; errors come back as text.

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>

#ifdef TRT_MAJOR_RTX
#define HRT_RTX 1
#else
#define HRT_RTX 0
#endif
// Strongly typed: an engine's precision is its graph's, and no flag changes that.
#define HRT_TYPED (HRT_RTX || NV_TENSORRT_MAJOR >= 11)
#define HRT_PROGRESS (HRT_RTX || NV_TENSORRT_MAJOR >= 10)
// The calls that take the size of the memory lent to an execution context.
#define HRT_SIZED_MEMORY (HRT_RTX || NV_TENSORRT_MAJOR * 100 + NV_TENSORRT_MINOR >= 1001)

using namespace nvinfer1;

namespace {

// Keeps what TensorRT says, so that an error can tell it.
class Log : public ILogger {
  public:
    void log(Severity severity, char const* message) noexcept override {
        if (severity > Severity::kERROR) return;
        try {
            std::lock_guard<std::mutex> lock(mutex_);
            if (text_.size() < 4000) text_.append(text_.empty() ? "" : "; ").append(message);
        } catch (...) {
        }
    }
    void clear() {
        std::lock_guard<std::mutex> lock(mutex_);
        text_.clear();
    }
    std::string text() {
        std::lock_guard<std::mutex> lock(mutex_);
        return text_;
    }

  private:
    std::mutex mutex_;
    std::string text_;
};

struct Text {
    char* data;
    size_t size;
    void write(std::string const& text) const {
        if (size == 0) return;
        size_t length = std::min(text.size(), size - 1);
        std::memcpy(data, text.data(), length);
        data[length] = 0;
    }
};

// Thrown in here and caught at the boundary.
struct Failure {
    std::string what;
};

using CreateWithLogger = void* (*)(void*, int32_t) noexcept;
using CreateParser = void* (*)(void*, void*, int) noexcept;
using Version = int32_t (*)() noexcept;

struct Library {
    Log log;
    CreateWithLogger create_builder, create_runtime;
    CreateParser create_parser = nullptr;
};

// Members go in reverse order.
struct Engine {
    Library& library;
    std::unique_ptr<IRuntime> runtime{};
    std::unique_ptr<ICudaEngine> engine{};
#if HRT_RTX
    // One for all contexts: what the library compiles for one serves the others.
    std::unique_ptr<IRuntimeCache> cache{};
    std::unique_ptr<IRuntimeConfig> config{};
#endif
};

// Gone before its engine.
struct Context {
    Engine& engine;
    std::unique_ptr<IExecutionContext> context;
};

void* open(char const* path) {
    void* handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!handle) throw Failure{dlerror()};
    return handle;
}

template <typename F> F symbol(void* handle, char const* name) {
    void* address = dlsym(handle, name);
    if (!address) throw Failure{dlerror()};
    return reinterpret_cast<F>(address);
}

// Runs f; a failure or an exception becomes text, with what TensorRT logged meanwhile.
template <typename R, typename F> R guarded(Library* library, Text error, R failed, F f) noexcept {
    std::string what;
    try {
        if (library) library->log.clear();
        return f();
    } catch (Failure const& failure) {
        what = failure.what;
    } catch (std::exception const& exception) {
        what = exception.what();
    } catch (...) {
        what = "an unknown C++ exception";
    }
    try {
        std::string logged = library ? library->log.text() : "";
        error.write(logged.empty() ? what : what + ": " + logged);
    } catch (...) {
        error.write("out of memory");
    }
    return failed;
}

template <typename T> T* need(T* object, char const* what) {
    if (!object) throw Failure{std::string(what) + " failed"};
    return object;
}

void need(bool done, char const* what) {
    if (!done) throw Failure{std::string(what) + " failed"};
}

} // namespace

extern "C" {

using Progress = void (*)(void* user, char const* phase, int32_t step, int32_t steps);

struct HrtBuild {
    // Largest batch, and the one to be fastest at.
    int32_t max_batch, best_batch;
    // Let TensorRT use half precision where the library's graphs have no types of their own.
    int32_t half;
    // Compute capabilities times ten (86 is 8.6); none: this machine's GPU.
    int32_t const* capabilities;
    int32_t capability_count;
    // Keep layer names and parameters for the inspector.
    int32_t detailed;
    Progress progress;
    void* user;
};

struct HrtTensor {
    char name[256];
    int32_t input;
    // nvinfer1::DataType: 0 float, 1 half.
    int32_t type;
    int32_t dim_count;
    int64_t dims[8];
    // The largest batch of the profile, where dims[0] is -1.
    int64_t max_batch;
};
}

namespace {

#if HRT_PROGRESS
// Tells the steps of the outermost phases.
class Monitor : public IProgressMonitor {
  public:
    Monitor(Progress progress, void* user) : progress_(progress), user_(user) {}
    void phaseStart(char const* phase, char const* parent, int32_t steps) noexcept override {
        if (parent) return;
        try {
            std::lock_guard<std::mutex> lock(mutex_);
            steps_[phase] = steps;
        } catch (...) {
        }
    }
    bool stepComplete(char const* phase, int32_t step) noexcept override {
        std::lock_guard<std::mutex> lock(mutex_);
        auto found = steps_.find(phase);
        if (found != steps_.end()) progress_(user_, phase, step + 1, found->second);
        return true;
    }
    void phaseFinish(char const*) noexcept override {}

  private:
    std::mutex mutex_;
    std::map<std::string, int32_t, std::less<>> steps_;
    Progress progress_;
    void* user_;
};
#endif


// The inputs' batch may be open, and nothing else of them. Adds the profile that an open one needs.
void add_profile(IBuilder& builder, INetworkDefinition& network, IBuilderConfig& config,
                 HrtBuild const& build) {
    IOptimizationProfile* profile = need(builder.createOptimizationProfile(), "createOptimizationProfile");
    bool open = false;
    for (int32_t i = 0; i < network.getNbInputs(); ++i) {
        ITensor* input = network.getInput(i);
        Dims dims = input->getDimensions();
        for (int32_t d = 1; d < dims.nbDims; ++d)
            if (dims.d[d] < 0) throw Failure{std::string("input ") + input->getName() + " has more than its batch open"};
        if (dims.nbDims == 0 || dims.d[0] >= 0) continue;
        open = true;
        auto set = [&](OptProfileSelector which, int32_t batch) {
            dims.d[0] = batch;
            need(profile->setDimensions(input->getName(), which, dims), "setDimensions");
        };
        set(OptProfileSelector::kMIN, 1);
        set(OptProfileSelector::kOPT, build.best_batch);
        set(OptProfileSelector::kMAX, build.max_batch);
    }
    if (open) need(config.addOptimizationProfile(profile) >= 0, "addOptimizationProfile");
}

void set_capabilities(IBuilderConfig& config, HrtBuild const& build) {
#if HRT_RTX
    if (build.capability_count == 0) return;
    need(config.setNbComputeCapabilities(build.capability_count), "setNbComputeCapabilities");
    for (int32_t i = 0; i < build.capability_count; ++i) {
        int32_t wanted = build.capabilities[i];
        need(config.setComputeCapability(static_cast<ComputeCapability>(wanted), i),
             ("compute capability " + std::to_string(wanted / 10) + "." + std::to_string(wanted % 10)).c_str());
    }
#else
    (void)config;
    if (build.capability_count > 0)
        throw Failure{"this TensorRT builds for the GPU of this machine only; TensorRT for RTX builds for others"};
#endif
}

void parse(nvonnxparser::IParser& parser, void const* onnx, size_t size) {
    if (parser.parse(onnx, size)) return;
    std::string what = "the ONNX parser refused it";
    for (int32_t i = 0; i < parser.getNbErrors(); ++i)
        what += std::string(i ? "; " : ": ") + parser.getError(i)->desc();
    throw Failure{what};
}

// Names of the types that the parts of a graph give, a line a part: where graphs have types of their
// own this is the precision that the engine runs in.
std::string describe(INetworkDefinition const& network) {
    std::string text;
    for (int32_t i = 0; i < network.getNbLayers(); ++i) {
        ILayer* layer = network.getLayer(i);
        if (layer->getNbOutputs() == 0) continue;
        DataType type = layer->getOutput(0)->getType();
        char const* name = type == DataType::kHALF ? "half" : type == DataType::kFLOAT ? "float" : "other";
        text += std::string(name) + " " + std::to_string(static_cast<int32_t>(layer->getType())) + " " + layer->getName() + "\n";
    }
    return text;
}

IHostMemory* build(Library& library, void const* onnx, size_t size, HrtBuild const& options, Text graph) {
    if (!library.create_parser) throw Failure{"the ONNX parser library is missing: no engine can be built"};
#if HRT_PROGRESS
    // Before, and so longer alive than, what calls it.
    Monitor monitor(options.progress, options.user);
#endif
    std::unique_ptr<IBuilder> builder(
        need(static_cast<IBuilder*>(library.create_builder(&library.log, NV_TENSORRT_VERSION)), "createInferBuilder"));
#if HRT_RTX || NV_TENSORRT_MAJOR >= 10
    uint32_t flags = 0;
#else
    uint32_t flags = 1U << static_cast<uint32_t>(NetworkDefinitionCreationFlag::kEXPLICIT_BATCH);
#endif
    std::unique_ptr<INetworkDefinition> network(need(builder->createNetworkV2(flags), "createNetworkV2"));
    std::unique_ptr<nvonnxparser::IParser> parser(need(static_cast<nvonnxparser::IParser*>(
        library.create_parser(network.get(), &library.log, NV_ONNX_PARSER_VERSION)), "createNvOnnxParser"));
    parse(*parser, onnx, size);
    std::unique_ptr<IBuilderConfig> config(need(builder->createBuilderConfig(), "createBuilderConfig"));
#if HRT_PROGRESS
    if (options.progress) config->setProgressMonitor(&monitor);
#endif
#if !HRT_TYPED
    if (options.half) config->setFlag(BuilderFlag::kFP16);
#endif
#if !HRT_RTX && NV_TENSORRT_MAJOR == 8 && NV_TENSORRT_MINOR >= 6
    // From 10 on several contexts may use one profile; 8.6 wants to be told.
    config->setPreviewFeature(PreviewFeature::kPROFILE_SHARING_0806, true);
#endif
    if (options.detailed) config->setProfilingVerbosity(ProfilingVerbosity::kDETAILED);
    add_profile(*builder, *network, *config, options);
    set_capabilities(*config, options);
    graph.write(describe(*network));
    return need(builder->buildSerializedNetwork(*network, *config), "building the engine");
}

void describe(ICudaEngine const& engine, char const* name, HrtTensor& out) {
    std::strncpy(out.name, name, sizeof out.name - 1);
    out.input = engine.getTensorIOMode(name) == TensorIOMode::kINPUT;
    out.type = static_cast<int32_t>(engine.getTensorDataType(name));
    Dims dims = engine.getTensorShape(name);
    if (dims.nbDims < 0 || dims.nbDims > 8) throw Failure{std::string("tensor ") + name + " has no shape"};
    out.dim_count = dims.nbDims;
    for (int32_t d = 0; d < dims.nbDims; ++d) out.dims[d] = dims.d[d];
    out.max_batch = dims.nbDims > 0 ? dims.d[0] : 1;
    if (out.input && dims.nbDims > 0 && dims.d[0] < 0)
        out.max_batch = engine.getProfileShape(name, 0, OptProfileSelector::kMAX).d[0];
}

#if HRT_RTX
void configure(Engine& engine) {
    engine.config.reset(need(engine.engine->createRuntimeConfig(), "createRuntimeConfig"));
    IRuntimeConfig& config = *engine.config;
    // The library captures and replays CUDA graphs itself.
    need(config.setCudaGraphStrategy(CudaGraphStrategy::kWHOLE_GRAPH_CAPTURE), "setCudaGraphStrategy");
    config.setExecutionContextAllocationStrategy(ExecutionContextAllocationStrategy::kUSER_MANAGED);
    engine.cache.reset(need(config.createRuntimeCache(), "createRuntimeCache"));
    need(config.setRuntimeCache(*engine.cache), "setRuntimeCache");
}
#endif

// A context without memory for what is between the layers.
IExecutionContext* create_context(Engine& engine) {
#if HRT_RTX
    return engine.engine->createExecutionContext(engine.config.get());
#elif NV_TENSORRT_MAJOR >= 10
    return engine.engine->createExecutionContext(ExecutionContextAllocationStrategy::kUSER_MANAGED);
#else
    return engine.engine->createExecutionContextWithoutDeviceMemory();
#endif
}

} // namespace

extern "C" {

int32_t hrt_headers_version() noexcept { return NV_TENSORRT_VERSION; }
int32_t hrt_headers_major() noexcept { return NV_TENSORRT_MAJOR; }
// Whether the headers are those of TensorRT for RTX.
int32_t hrt_is_rtx() noexcept { return HRT_RTX; }
// Whether an engine has its graph's precision.
int32_t hrt_is_typed() noexcept { return HRT_TYPED; }

// Opens the libraries; the parser may be null. Null on failure. What it returns is never freed: the
// libraries keep a pointer to it.
Library* hrt_open(char const* core_path, char const* parser_path, char* error, size_t error_size) noexcept {
    return guarded<Library*>(nullptr, Text{error, error_size}, nullptr, [&] {
        void* core = open(core_path);
        int32_t version = symbol<Version>(core, "getInferLibVersion")();
        if (version != NV_TENSORRT_VERSION)
            throw Failure{std::string(core_path) + " has version number " + std::to_string(version) +
                          ", the plugin was built for " + std::to_string(NV_TENSORRT_VERSION)};
        auto library = std::make_unique<Library>();
        library->create_builder = symbol<CreateWithLogger>(core, "createInferBuilder_INTERNAL");
        library->create_runtime = symbol<CreateWithLogger>(core, "createInferRuntime_INTERNAL");
        if (parser_path)
            library->create_parser = symbol<CreateParser>(open(parser_path), "createNvOnnxParser_INTERNAL");
        return library.release();
    });
}

// ONNX to a serialised engine, an IHostMemory for the hrt_blob_* functions; null on failure. `graph`
// gets a line for each part of the parsed graph: the type it gives, its kind, its name.
void* hrt_build(Library* library, void const* onnx, size_t size, HrtBuild const* options, char* graph,
                size_t graph_size, char* error, size_t error_size) noexcept {
    return guarded<void*>(library, Text{error, error_size}, nullptr, [&]() -> void* {
        return build(*library, onnx, size, *options, Text{graph, graph_size});
    });
}

void const* hrt_blob_data(void* blob) noexcept { return static_cast<IHostMemory*>(blob)->data(); }
size_t hrt_blob_size(void* blob) noexcept { return static_cast<IHostMemory*>(blob)->size(); }
void hrt_blob_free(void* blob) noexcept { delete static_cast<IHostMemory*>(blob); }

// A serialised engine, on the CUDA device that is current. Null on failure.
Engine* hrt_load(Library* library, void const* data, size_t size, char* error, size_t error_size) noexcept {
    return guarded<Engine*>(library, Text{error, error_size}, nullptr, [&] {
        auto engine = std::unique_ptr<Engine>(new Engine{*library});
        engine->runtime.reset(
            need(static_cast<IRuntime*>(library->create_runtime(&library->log, NV_TENSORRT_VERSION)), "createInferRuntime"));
        engine->engine.reset(need(engine->runtime->deserializeCudaEngine(data, size), "reading the engine"));
#if HRT_RTX
        configure(*engine);
#endif
        return engine.release();
    });
}

void hrt_free(Engine* engine) noexcept { delete engine; }

int32_t hrt_tensor_count(Engine* engine) noexcept { return engine->engine->getNbIOTensors(); }

// 0 on success, as all below.
int32_t hrt_tensor(Engine* engine, int32_t index, HrtTensor* out, char* error, size_t error_size) noexcept {
    return guarded<int32_t>(&engine->library, Text{error, error_size}, 1, [&] {
        describe(*engine->engine, need(engine->engine->getIOTensorName(index), "getIOTensorName"), *out);
        return 0;
    });
}

// What the engine holds, as JSON, cut to the room that there is.
int32_t hrt_inspect(Engine* engine, char* text, size_t text_size, char* error, size_t error_size) noexcept {
    return guarded<int32_t>(&engine->library, Text{error, error_size}, 1, [&] {
        std::unique_ptr<IEngineInspector> inspector(need(engine->engine->createEngineInspector(), "createEngineInspector"));
        Text{text, text_size}.write(
            need(inspector->getEngineInformation(LayerInformationFormat::kJSON), "getEngineInformation"));
        return 0;
    });
}

// Bytes of device memory that a run wants beside its inputs and output.
int64_t hrt_memory(Engine* engine) noexcept {
#if HRT_SIZED_MEMORY
    return engine->engine->getDeviceMemorySizeV2();
#else
    return static_cast<int64_t>(engine->engine->getDeviceMemorySize());
#endif
}

// What runs an engine, one run at a time, in lent memory of hrt_memory() bytes. Null on failure.
Context* hrt_context(Engine* engine, void* memory, int64_t size, char* error, size_t error_size) noexcept {
    return guarded<Context*>(&engine->library, Text{error, error_size}, nullptr, [&] {
        auto context = std::unique_ptr<Context>(new Context{*engine, nullptr});
        context->context.reset(need(create_context(*engine), "createExecutionContext"));
#if HRT_SIZED_MEMORY
        context->context->setDeviceMemoryV2(memory, size);
#else
        (void)size;
        context->context->setDeviceMemory(memory);
#endif
        return context.release();
    });
}

void hrt_context_free(Context* context) noexcept { delete context; }

// Where a tensor lies on the device, and the shape of an input (none for an output).
int32_t hrt_bind(Context* context, char const* name, void* address, int64_t const* shape, int32_t dim_count,
                 char* error, size_t error_size) noexcept {
    return guarded<int32_t>(&context->engine.library, Text{error, error_size}, 1, [&] {
        if (shape) {
            Dims dims{};
            dims.nbDims = dim_count;
            for (int32_t d = 0; d < dim_count && d < Dims::MAX_DIMS; ++d)
                dims.d[d] = static_cast<std::remove_reference_t<decltype(dims.d[0])>>(shape[d]);
            need(context->context->setInputShape(name, dims), "setInputShape");
        }
        need(context->context->setTensorAddress(name, address), "setTensorAddress");
        return 0;
    });
}

// Queues one run on a CUDA stream.
int32_t hrt_enqueue(Context* context, void* stream, char* error, size_t error_size) noexcept {
    return guarded<int32_t>(&context->engine.library, Text{error, error_size}, 1, [&] {
        need(context->context->enqueueV3(static_cast<cudaStream_t>(stream)), "enqueueV3");
        return 0;
    });
}
}
