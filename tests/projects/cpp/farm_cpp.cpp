#include <Python.h>
#include <string>

static PyObject *answer(PyObject *, PyObject *) {
    std::string text = std::to_string(42);
    return PyUnicode_FromStringAndSize(text.data(), text.size());
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "42"}, {nullptr, nullptr, 0, nullptr}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "farm_cpp", nullptr, -1, methods};

PyMODINIT_FUNC PyInit_farm_cpp() { return PyModule_Create(&definition); }
