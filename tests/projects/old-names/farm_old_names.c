#include <Python.h>

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "farm_old_names", NULL, -1, NULL};

PyMODINIT_FUNC PyInit_farm_old_names(void)
{
    return PyModule_Create(&definition);
}
