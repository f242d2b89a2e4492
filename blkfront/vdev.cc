// SPDX-License-Identifier: GPL-2.0-only
/* Decode ordinary numbers by a table of majors (xvd, IDE, SCSI), extended ones by their minor; name the disk xvd*. */
#include "blkfront/vdev.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

constexpr unsigned int extended_shift = 28;
constexpr unsigned int extended_minors = 256;
constexpr unsigned int ordinary_minors = 16;
constexpr unsigned int minor_limit = 1u << 20; /* Linux: MINORBITS */

constexpr unsigned int major_xvd = 202;

/* Maps a major number to disks: `first_disk` 0 is xvda. The majors of emulated controllers are mapped as well. */
struct MajorMapping {
	unsigned int major;
	unsigned int first_disk;
	unsigned int minors_per_disk;
};
constexpr MajorMapping mappings[] = {
	/* IDE: two disks of 64 minors each. */
	{ 3, 0, 64 },
	{ 22, 2, 64 },
	/* SCSI: sixteen disks of 16 minors each. */
	{ 8, 0, 16 },
	{ 65, 16, 16 },
	{ 66, 32, 16 },
	{ 67, 48, 16 },
	{ 68, 64, 16 },
	{ 69, 80, 16 },
	{ 70, 96, 16 },
	{ 71, 112, 16 },
	{ 128, 128, 16 },
	{ 129, 144, 16 },
	{ 130, 160, 16 },
	{ 131, 176, 16 },
	{ 132, 192, 16 },
	{ 133, 208, 16 },
	{ 134, 224, 16 },
	{ 135, 240, 16 },
	{ major_xvd, 0, 16 },
};

/* Append the letters after "xvd": a to z, aa to zz, and so on. */
char *append_letters(char *at, unsigned int disk)
{
	if (disk >= 26)
		at = append_letters(at, disk / 26 - 1);
	*at = static_cast<char>('a' + disk % 26);
	return at + 1;
}

DiskIdentity make_identity(unsigned int disk, unsigned int first_minor, unsigned int minors_per_disk)
{
	DiskIdentity identity = {};
	unsigned int partition = first_minor % minors_per_disk;
	identity.first_minor = first_minor;
	identity.minors = partition == 0 ? minors_per_disk : 1;
	char *end = append_letters(identity.name + xpv_format(identity.name, sizeof(identity.name), "xvd"), disk);
	if (partition != 0)
		xpv_format(end, static_cast<size_t>(identity.name + sizeof(identity.name) - end), "%u", partition);
	return identity;
}

} // namespace

Result<DiskIdentity> identify(uint64_t vdev)
{
	if (vdev >> extended_shift > 1)
		return Error(XEN_ENODEV);

	if (vdev >> extended_shift == 1) {
		unsigned int minor = vdev & ((1u << extended_shift) - 1);
		if (minor >= minor_limit)
			return Error(XEN_ENODEV);
		return make_identity(minor / extended_minors, minor, extended_minors);
	}

	unsigned int major = static_cast<unsigned int>(vdev >> 8);
	unsigned int minor = vdev & 0xff;
	for (const MajorMapping &mapping : mappings) {
		if (mapping.major != major)
			continue;
		unsigned int disk = mapping.first_disk + minor / mapping.minors_per_disk;
		/* An IDE number cannot name a partition: an IDE disk has 64 minors, an xvd disk only 16. */
		unsigned int partition = mapping.minors_per_disk == ordinary_minors ? minor % ordinary_minors : 0;
		return make_identity(disk, disk * ordinary_minors + partition, ordinary_minors);
	}
	return Error(XEN_ENODEV);
}

} // namespace xpv
