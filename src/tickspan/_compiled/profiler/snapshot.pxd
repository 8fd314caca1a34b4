# Public names of CPython and of the C library, as `snapshot` uses them; `context` is there from 3.7 on.
cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass
    ctypedef struct PyInterpreterState:
        pass
    ctypedef struct PyThreadState:
        unsigned long thread_id
        PyObject* context
    ctypedef void* PyThread_type_lock
    PyInterpreterState* PyInterpreterState_Get()
    PyThreadState* PyInterpreterState_ThreadHead(PyInterpreterState*)
    PyThreadState* PyThreadState_Next(PyThreadState*)
    int PyGC_Disable()
    int PyGC_Enable()
    void Py_INCREF(PyObject*)
    void Py_DECREF(PyObject*)
    char* PyByteArray_AsString(object)
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock)
    int PyThread_acquire_lock(PyThread_type_lock, int) nogil
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long, int) nogil
    void PyThread_release_lock(PyThread_type_lock) nogil

cdef extern from "<time.h>":
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int, timespec*)

cdef extern from "<fcntl.h>":
    int O_RDONLY
    int O_CLOEXEC
    int posix_open "open" (const char*, int)

cdef extern from "<unistd.h>":
    Py_ssize_t posix_read "read" (int, void*, size_t)
    int posix_close "close" (int)

cdef extern from "<stdio.h>":
    int snprintf(char*, size_t, const char*, ...)
    int sscanf(const char*, const char*, ...)

cdef extern from *:
    """
    #ifdef __linux__
    #include <sys/prctl.h>
    #else
    #define prctl(...) (-1)
    #endif
    """
    int prctl(int, ...)

cdef enum:
    _MOST_THREADS = 1024
    _SILENCE_US = 10000
    _PR_SET_TIMERSLACK = 29

cdef class Bell:
    cdef PyThread_type_lock _lock
    cdef object _quiet
    cdef object _bell
    cdef readonly long silent
