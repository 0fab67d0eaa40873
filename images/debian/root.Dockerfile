# A Debian suite's root file system, as mmdebstrap made it. The context is that one archive.
FROM scratch
ADD root.tar /
CMD ["/bin/bash"]
