/* A driver without a GPU, for tests: the functions of libcuda that the plugin calls, over host memory.
 *
 * What is queued on a stream is done when somebody waits for the stream, one piece a look
 * (cuStreamQuery): a missing wait, or one on the wrong stream, shows as wrong numbers. Every fault of
 * the caller is noted (fake_misuse), and failures can be ordered (fake_fail). Error codes are CUDA's. */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK, INVALID_VALUE, OUT_OF_MEMORY, NOT_READY = 600, INVALID_CONTEXT = 201, INVALID_DEVICE = 101,
       ILLEGAL_ADDRESS = 700, CAPTURE_UNSUPPORTED = 900, UNKNOWN = 999 };
enum { DEVICE_MEMORY = 1, PINNED_MEMORY };
enum { MOST = 4096 };

typedef void (*Function)(void *);
typedef enum { CALL, CLEAR, UP, DOWN, FREE } Kind;
typedef struct { Kind kind; Function run; void *user; char *to; const char *from; size_t size; int value; } Work;
typedef struct { Work work[64]; int count; } Graph;
typedef struct { Work work[1024]; int count, next; Graph *capture; } Stream;
typedef struct { char *start; size_t size; int kind; } Memory;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Memory memory[MOST];
static int live, launches, lost, pools = 1;
static char misuse[256];
static struct { char call[64]; int after, result; } order;
static __thread void *current;
static int device;

static void blame(const char *what) { if (!misuse[0]) snprintf(misuse, sizeof misuse, "%s", what); }

/* The order for a call, the loss of the device, or OK. */
static int state(const char *call) {
    if (lost) return lost;
    if (!current) return INVALID_CONTEXT;
    if (strcmp(order.call, call) || order.after-- > 0) return OK;
    order.call[0] = 0;
    if (order.result != OUT_OF_MEMORY) lost = order.result;
    return order.result;
}

#define ENTER(call) \
    pthread_mutex_lock(&lock); \
    int result = state(call); \
    if (result) goto out
#define LEAVE out: pthread_mutex_unlock(&lock); return result

static Memory *find(const void *at, size_t size, int kind) {
    for (int i = 0; i < MOST; i++) {
        Memory *m = &memory[i];
        if (m->kind == kind && (const char *)at >= m->start && (const char *)at + size <= m->start + m->size)
            return m;
    }
    return NULL;
}

static int allocate(void **out, size_t size, int kind) {
    for (int i = 0; i < MOST; i++)
        if (!memory[i].kind) {
            memory[i] = (Memory){malloc(size), size, kind};
            memset(memory[i].start, 0xcd, size);
            *out = memory[i].start;
            live++;
            return OK;
        }
    return OUT_OF_MEMORY;
}

static int release(void *at, int kind) {
    Memory *m = find(at, 1, kind);
    if (!m || m->start != at) return blame("memory freed that is not there"), INVALID_VALUE;
    memset(m->start, 0xdd, m->size);
    free(m->start);
    m->kind = 0;
    live--;
    return OK;
}

static void perform(const Work *w) {
    if (w->kind == CALL) { w->run(w->user); return; }
    if (w->kind == FREE) { release(w->to, DEVICE_MEMORY); return; }
    int to = w->kind == DOWN ? PINNED_MEMORY : DEVICE_MEMORY;
    int from = w->kind == DOWN ? DEVICE_MEMORY : PINNED_MEMORY;
    if (!find(w->to, w->size, to) || (w->kind != CLEAR && !find(w->from, w->size, from))) {
        blame("a copy beyond memory, or of memory that is not pinned");
        lost = ILLEGAL_ADDRESS;
        return;
    }
    if (w->kind == CLEAR) memset(w->to, w->value, w->size);
    else memcpy(w->to, w->from, w->size);
}

static void step(Stream *s) {
    if (s->next < s->count && !lost) perform(&s->work[s->next++]);
    if (s->next == s->count) s->next = s->count = 0;
}

static void push(Stream *s, Work w) {
    if (s->capture) s->capture->work[s->capture->count++] = w;
    else if (s->count < 1024) s->work[s->count++] = w;
    else blame("more queued than a batch can be");
}

/* For the tests. */
const char *fake_misuse(void) { return misuse; }
int fake_live(void) { return live; }
int fake_launches(void) { return launches; }
/* The call that comes after so many of its name gives `result`; all but OUT_OF_MEMORY lose the device. */
void fake_fail(const char *call, int after, int code) {
    snprintf(order.call, sizeof order.call, "%s", call);
    order.after = after;
    order.result = code;
}
void fake_reset(void) { misuse[0] = order.call[0] = 0; launches = lost = 0; pools = 1; }
/* Whether memory comes from pools, as most GPUs have them. */
void fake_pools(int there) { pools = there; }

/* The driver. */
int cuInit(unsigned flags) { (void)flags; return OK; }
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGet(int *out, int ordinal) { *out = 0; return ordinal == 0 ? OK : INVALID_DEVICE; }
int cuDeviceGetName(char *name, int size, int ordinal) { (void)ordinal; snprintf(name, size, "no GPU"); return OK; }
/* Compute capability 8.6. */
int cuDeviceGetAttribute(int *out, int which, int ordinal) {
    (void)ordinal;
    *out = which == 75 ? 8 : which == 76 ? 6 : which == 115 ? pools : 0;
    return OK;
}
int cuDevicePrimaryCtxRetain(void **out, int ordinal) { (void)ordinal; *out = &device; return OK; }
int cuDevicePrimaryCtxRelease_v2(int ordinal) { (void)ordinal; return OK; }
int cuCtxGetCurrent(void **out) { *out = current; return OK; }
int cuCtxSetCurrent(void *context) { current = context; return OK; }
int cuGetErrorName(int code, const char **out) { (void)code; *out = "error"; return OK; }
int cuGetErrorString(int code, const char **out) { (void)code; *out = "by order of the test"; return OK; }

int cuStreamCreate(Stream **out, unsigned flags) {
    ENTER("cuStreamCreate");
    if (flags != 1) blame("a stream that waits for the default one");
    *out = calloc(1, sizeof **out);
    live++;
    LEAVE;
}

int cuStreamDestroy_v2(Stream *s) {
    pthread_mutex_lock(&lock);
    for (; s->next < s->count; s->next++) {
        int kind = s->work[s->next].kind;
        if (kind == FREE || kind == CLEAR) perform(&s->work[s->next]);
        else if (!lost) blame("a stream destroyed with a run in it");
    }
    free(s);
    live--;
    pthread_mutex_unlock(&lock);
    return OK;
}

int cuStreamSynchronize(Stream *s) {
    ENTER("cuStreamSynchronize");
    if (s->capture) { blame("a wait while recording"); result = CAPTURE_UNSUPPORTED; goto out; }
    while (s->count && !lost) step(s);
    result = lost;
    LEAVE;
}

int cuStreamQuery(Stream *s) {
    ENTER("cuStreamQuery");
    if (s->count) { step(s); result = lost ? lost : NOT_READY; }
    LEAVE;
}

int cuStreamBeginCapture_v2(Stream *s, int mode) {
    ENTER("cuStreamBeginCapture");
    (void)mode;
    if (s->count) blame("recording behind queued work");
    s->capture = calloc(1, sizeof *s->capture);
    LEAVE;
}

int cuStreamEndCapture(Stream *s, Graph **out) {
    ENTER("cuStreamEndCapture");
    *out = s->capture;
    s->capture = NULL;
    live++;
    LEAVE;
}

int cuGraphInstantiateWithFlags(Graph **out, Graph *graph, unsigned long long flags) {
    ENTER("cuGraphInstantiate");
    (void)flags;
    *out = malloc(sizeof *graph);
    **out = *graph;
    live++;
    LEAVE;
}

int cuGraphLaunch(Graph *graph, Stream *s) {
    ENTER("cuGraphLaunch");
    launches++;
    for (int i = 0; i < graph->count; i++) push(s, graph->work[i]);
    LEAVE;
}

static int destroy(Graph *graph) {
    pthread_mutex_lock(&lock);
    free(graph);
    live--;
    pthread_mutex_unlock(&lock);
    return OK;
}
int cuGraphExecDestroy(Graph *graph) { return destroy(graph); }
int cuGraphDestroy(Graph *graph) { return destroy(graph); }

/* Events are only made and waited for: nothing records one. */
int cuEventCreate(void **out, unsigned flags) {
    ENTER("cuEventCreate");
    (void)flags;
    *out = malloc(1);
    live++;
    LEAVE;
}
int cuEventSynchronize(void *event) { (void)event; return lost; }
int cuEventDestroy_v2(void *event) {
    pthread_mutex_lock(&lock);
    free(event);
    live--;
    pthread_mutex_unlock(&lock);
    return OK;
}

int cuMemAlloc_v2(void **out, size_t size) { ENTER("cuMemAlloc"); result = allocate(out, size, DEVICE_MEMORY); LEAVE; }
int cuMemAllocAsync(void **out, size_t size, Stream *s) {
    ENTER("cuMemAllocAsync");
    if (s->capture) blame("memory asked for while recording");
    result = allocate(out, size, DEVICE_MEMORY);
    LEAVE;
}
int cuMemFreeAsync(void *at, Stream *s) {
    pthread_mutex_lock(&lock);
    push(s, (Work){.kind = FREE, .to = at});
    pthread_mutex_unlock(&lock);
    return OK;
}
int cuMemHostAlloc(void **out, size_t size, unsigned flags) {
    ENTER("cuMemHostAlloc");
    /* 4 is write-combined: slow to read. */
    if (flags & 4) blame("write-combined memory");
    result = allocate(out, size, PINNED_MEMORY);
    LEAVE;
}
static int locked_release(void *at, int kind) {
    pthread_mutex_lock(&lock);
    int result = release(at, kind);
    pthread_mutex_unlock(&lock);
    return result;
}
int cuMemFree_v2(void *at) { return locked_release(at, DEVICE_MEMORY); }
int cuMemFreeHost(void *at) { return locked_release(at, PINNED_MEMORY); }

int cuMemsetD8Async(char *to, unsigned char value, size_t size, Stream *s) {
    ENTER("cuMemsetD8Async");
    push(s, (Work){.kind = CLEAR, .to = to, .value = value, .size = size});
    LEAVE;
}
int cuMemcpyHtoDAsync_v2(char *to, const char *from, size_t size, Stream *s) {
    ENTER("cuMemcpyHtoDAsync");
    push(s, (Work){.kind = UP, .to = to, .from = from, .size = size});
    LEAVE;
}
int cuMemcpyDtoHAsync_v2(char *to, const char *from, size_t size, Stream *s) {
    ENTER("cuMemcpyDtoHAsync");
    push(s, (Work){.kind = DOWN, .to = to, .from = from, .size = size});
    LEAVE;
}
int cuLaunchHostFunc(Stream *s, Function run, void *user) {
    ENTER("cuLaunchHostFunc");
    push(s, (Work){.kind = CALL, .run = run, .user = user});
    LEAVE;
}
