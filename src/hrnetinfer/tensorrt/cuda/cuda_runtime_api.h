// All that TensorRT's headers want of CUDA's: for building where no CUDA toolkit is installed.
#pragma once

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
