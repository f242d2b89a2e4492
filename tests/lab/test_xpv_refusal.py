# SPDX-License-Identifier: GPL-2.0-only
"""Where Xen is not there: one clear line, ENODEV, nothing touched. (test_intree.py
has the kernels that own Xen.)"""

import subprocess

from xpvlab import images, initrd, payload


def test_no_xen(kernel, modules, tmp_path):
    """There is no Xen. A driver that executes a hypercall before it asks CPUID
    crashes the kernel with an invalid opcode. The load of xpv_hypervisor must
    fail with ENODEV and one line, and xpv_lib stay loaded."""
    image = images.guest()
    stock = image.kernels[kernel]
    extra = {path.name: path.read_bytes() for path in payload.module_dir(modules, stock).rglob("xpv_*.ko")
             if path.stem in ("xpv_lib", "xpv_hypervisor")}
    (tmp_path / "initrd").write_bytes(
        initrd.build(stock, image.busybox, [], [], "no-xen-init.sh", extra))
    run = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
         "-serial", "stdio", "-kernel", stock.vmlinuz, "-initrd", tmp_path / "initrd",
         "-append", "console=ttyS0 panic=-1 quiet"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=True)
    lines = [l.strip() for l in run.stdout.splitlines()]
    assert "insmod status 19: No such device" in lines, run.stdout
    # busybox tries twice, by finit_module() and by init_module(): the same line for each.
    said = {l.partition("] ")[2] for l in lines if "xpv_hypervisor: " in l}
    assert said == {"xpv_hypervisor: no Xen hypervisor found"}, run.stdout
    assert "loaded: xpv_lib" in lines
