// SPDX-License-Identifier: GPL-2.0-only
/* Raise a vCPU's upcall by its vector or by the callback, and keep the HVM parameters. */

#include "lib/ordering.hh"
#include "tests/fake/fake_domain.hh"
#include "tests/fake/fake_hypervisor.h"

namespace xpv {

namespace {

constinit bool takes_callback_vector = false;

bool is_callback_vector(uint64_t via)
{
	return via >> 56 == HVM_PARAM_CALLBACK_TYPE_VECTOR;
}

/* By which Xen interrupts the vCPU (hvm_assert_evtchn_irq()); 0: by none. */
unsigned int vector_of(uint32_t vcpu)
{
	uint64_t via = read_once(fake_domain.params[HVM_PARAM_CALLBACK_IRQ]);
	if (fake_domain.vectors[vcpu])
		return fake_domain.vectors[vcpu];
	return is_callback_vector(via) ? static_cast<uint8_t>(via) : 0;
}

} // namespace

vcpu_info *fake_vcpu_info(uint32_t vcpu)
{
	if (vcpu < fake_max_vcpus && fake_domain.infos[vcpu])
		return fake_domain.infos[vcpu];
	return fake_domain.shared && vcpu < XEN_LEGACY_MAX_VCPUS ? &fake_domain.shared->vcpu_info[vcpu] : nullptr;
}

void fake_upcall(uint32_t vcpu)
{
	vcpu_info *info = fake_vcpu_info(vcpu);
	if (info && exchange(info->evtchn_upcall_pending, static_cast<uint8_t>(1)) == 0)
		xpv_fake_interrupt(Vcpu{ vcpu }, vector_of(vcpu));
}

namespace {

long set_callback(uint64_t via)
{
	if (is_callback_vector(via) && !takes_callback_vector)
		return -XEN_EINVAL;
	fake_domain.params[HVM_PARAM_CALLBACK_IRQ] = via;
	if (!is_callback_vector(via))
		return 0;
	/* As Xen, which injects it for as long as something is pending. */
	for (uint32_t vcpu = 0; vcpu < fake_max_vcpus; vcpu++) {
		vcpu_info *info = fake_vcpu_info(vcpu);
		if (info && !fake_domain.vectors[vcpu] && read_once(info->evtchn_upcall_pending))
			xpv_fake_interrupt(Vcpu{ vcpu }, vector_of(vcpu));
	}
	return 0;
}

} // namespace

long fake_register_vcpu_info(uint32_t vcpu, unsigned long argument)
{
	if (fake_domain.infos[vcpu])
		return -XEN_EINVAL;
	auto *info = reinterpret_cast<vcpu_register_vcpu_info_t *>(argument);
	void *memory = xpv_fake_memory(Gfn{ info->mfn });
	if (!memory)
		return -XEN_EINVAL;
	fake_domain.infos[vcpu] = reinterpret_cast<vcpu_info *>(static_cast<char *>(memory) + info->offset);
	return 0;
}

long fake_hvm_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case HVMOP_get_param:
	case HVMOP_set_param: {
		auto *param = reinterpret_cast<xen_hvm_param *>(argument);
		if (param->index >= HVM_NR_PARAMS)
			return -XEN_EINVAL;
		if (command == HVMOP_get_param)
			param->value = fake_domain.params[param->index];
		else if (param->index == HVM_PARAM_CALLBACK_IRQ)
			return set_callback(param->value);
		else
			fake_domain.params[param->index] = param->value;
		return 0;
	}
	case HVMOP_set_evtchn_upcall_vector: {
		auto *set = reinterpret_cast<xen_hvm_evtchn_upcall_vector *>(argument);
		if (set->vector < 0x10)
			return -XEN_EINVAL;
		if (set->vcpu >= fake_max_vcpus)
			return -XEN_ENOENT;
		fake_domain.vectors[set->vcpu] = set->vector;
		/* As Xen, which tells the vCPU of what it has been told of before. */
		if (vcpu_info *info = fake_vcpu_info(set->vcpu); info && read_once(info->evtchn_upcall_pending))
			xpv_fake_interrupt(Vcpu{ set->vcpu }, set->vector);
		return 0;
	}
	}
	return -XEN_ENOSYS;
}

} // namespace xpv

extern "C" {

void xpv_fake_take_callback_vector(bool take)
{
	xpv::takes_callback_vector = take;
}

void xpv_fake_set_param(unsigned int index, uint64_t value)
{
	xpv::fake_ensure_started();
	xpv::fake_domain.params[index] = value;
}

uint64_t xpv_fake_param(unsigned int index)
{
	return xpv::fake_domain.params[index];
}

} /* extern "C" */
