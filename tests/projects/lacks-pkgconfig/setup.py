import subprocess

from setuptools import Extension, setup


def ask(option):
    return subprocess.run(["pkg-config", option, "libuv"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()


flags = ask("--cflags")
setup(ext_modules=[Extension("farm_lacks_pkgconfig", ["farm_lacks_pkgconfig.c"], extra_compile_args=flags, extra_link_args=ask("--libs"))])
