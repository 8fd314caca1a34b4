# What `tally` uses of C: the clock, the calling convention without tuples, and lengths that run no Python.
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass
    ctypedef PyObject* (*vectorcallfunc)(PyObject*, PyObject* const*, size_t, PyObject*) noexcept
    PyObject* PyObject_Vectorcall(PyObject*, PyObject* const*, size_t, PyObject*) noexcept
    object PyVectorcall_Call(object, tuple, dict)
    int PyIter_Send(PyObject*, PyObject*, PyObject**) noexcept
    enum: PYGEN_RETURN, PYGEN_ERROR, PYGEN_NEXT

cdef extern from *:
    """
    /* The length of a builtin container; -1 - length of a text; else -1 less than any text has: PY_SSIZE_T_MIN. */
    static CYTHON_INLINE Py_ssize_t tickspan_length(PyObject *value) {
        if (PyUnicode_CheckExact(value)) return -1 - PyUnicode_GET_LENGTH(value);
        if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) return Py_SIZE(value);
        if (PyDict_CheckExact(value)) return PyDict_Size(value);
        if (PyAnySet_CheckExact(value)) return PySet_GET_SIZE(value);
        if (PyBytes_CheckExact(value) || PyByteArray_CheckExact(value)) return Py_SIZE(value);
        return PY_SSIZE_T_MIN;
    }
    static CYTHON_INLINE long long container_size(PyObject *value) {
        Py_ssize_t length = tickspan_length(value);
        return length < 0 ? -1 : length;
    }
    static CYTHON_INLINE long long first_size(PyObject *const *arguments, size_t given, PyObject *names) {
        Py_ssize_t count = PyVectorcall_NARGS(given) + (names ? PyTuple_GET_SIZE(names) : 0);
        Py_ssize_t text = -1, length, place;
        for (place = 0; place < count; place++) {
            length = tickspan_length(arguments[place]);
            if (length >= 0) return length;
            if (text < 0 && length != PY_SSIZE_T_MIN) text = -1 - length;
        }
        return text;
    }
    static CYTHON_INLINE int _bit_length(unsigned long long number) {
        return number ? 64 - __builtin_clzll(number) : 0;
    }
    static CYTHON_INLINE int is_closing(void) {
        return PyErr_ExceptionMatches(PyExc_GeneratorExit);
    }
    /* Takes the reference. */
    static void stop_with(PyObject *value) {
        if (value == Py_None) PyErr_SetNone(PyExc_StopIteration);
        else if (PyTuple_Check(value) || PyExceptionInstance_Check(value)) {
            PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
            if (stop) { PyErr_SetObject(PyExc_StopIteration, stop); Py_DECREF(stop); }
        }
        else PyErr_SetObject(PyExc_StopIteration, value);
        Py_DECREF(value);
    }
    typedef int (*tickspan_sent)(PyObject *, PyObject *, PyObject **);
    typedef PyObject *(*tickspan_stepped)(PyObject *);
    static void make_steps(PyObject *one, tickspan_sent sent, tickspan_stepped stepped) {
        PyTypeObject *type = Py_TYPE(one);
        if (type->tp_iternext == (iternextfunc)stepped) return;
        type->tp_as_async->am_send = (sendfunc)sent;
        type->tp_iternext = (iternextfunc)stepped;
        PyType_Modified(type);
    }
    static void make_callable(PyObject *one, vectorcallfunc *field) {
        PyTypeObject *type = Py_TYPE(one);
        if (type->tp_vectorcall_offset) return;
        type->tp_vectorcall_offset = (char *)field - (char *)one;
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;
        PyType_Modified(type);
    }
    """
    long long container_size(PyObject*) noexcept
    long long first_size(PyObject* const*, size_t, PyObject*) noexcept
    int _bit_length(unsigned long long) noexcept
    void make_callable(PyObject*, vectorcallfunc*) noexcept
    int is_closing() noexcept
    void stop_with(PyObject*) noexcept
    ctypedef int (*tickspan_sent)(PyObject*, PyObject*, PyObject**) noexcept
    ctypedef PyObject* (*tickspan_stepped)(PyObject*) noexcept
    void make_steps(PyObject*, tickspan_sent, tickspan_stepped) noexcept

cdef inline long long now_ns() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <long long>now.tv_sec * 1000000000 + now.tv_nsec

cdef class Tally:
    cdef object _waiting, _lock  # of the interpreted form
    cdef long long _calls, _errors, _wall_ns, _running_ns, _longest_ns
    cdef long long _sizes[64]
    cdef long long _fastest_ns[64]

cdef void _add(Tally, long long, long long, bint, long long) noexcept

cdef class Measured:
    cdef dict __dict__
    cdef object __weakref__
    cdef object _function
    cdef Tally _tally
    cdef vectorcallfunc _vectorcall

cdef PyObject* _called(PyObject*, PyObject* const*, size_t, PyObject*) noexcept

cdef class Steps:
    cdef object _steps
    cdef Tally _tally
    cdef long long _size, _running_ns, _begun_ns

cdef int _sent(PyObject*, PyObject*, PyObject**) noexcept
cdef PyObject* _stepped(PyObject*) noexcept
