#include <Python.h>

#if PY_MAJOR_VERSION != 2
#error "written for Python 2"
#endif

static PyObject *answer(PyObject *self, PyObject *args) {
    return PyLong_FromLong(42);
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "42"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_needs_patch", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_needs_patch(void) { return PyModule_Create(&module); }
