// SPDX-License-Identifier: GPL-2.0-only
/* Requests of the block layer: their segments, their submission and completion. */

#include <linux/blk-mq.h>
#include <linux/highmem.h>

#include "blkfront/disk.h"

/* ---- Segments ---- */

/*
 * Return whether the data of this page must be copied through a page of our own.
 * A request completes, and its memory returns to its owner, even if the backend
 * still maps it. Such a page must then be held (gnttab.h: xpv_grant_park()), so
 * that it is not reused. A slab object's page cannot be held; and the backend
 * could access the rest of that page too.
 */
static bool needs_bounce(struct page *page)
{
	return PageSlab(page) || page_count(page) == 0;
}

static void free_bounce_pages(struct xpv_disk *disk, struct disk_request *pdu)
{
	unsigned int i;

	if (likely(!pdu->bounced))
		return;
	for (i = 0; i < pdu->block.segment_count; i++) {
		struct page *page = pdu->bounce[i];

		if (!page)
			continue;
		pdu->bounce[i] = NULL;
		/* A parked page must not return to the pool, which would reuse it. */
		if (unlikely(page_count(page) > 1))
			put_page(page);
		else
			mempool_free(page, disk->bounce_pages);
	}
	pdu->bounced = 0;
}

struct segment_walk {
	unsigned int count; /* segments so far */
	phys_addr_t end; /* of the last of them */
};

/* Return the index of the piece's segment: a new one, unless the piece continues the last one in the same page. */
static unsigned int walk_to(struct segment_walk *walk, const struct bio_vec *piece)
{
	phys_addr_t begin = page_to_phys(piece->bv_page) + piece->bv_offset;

	if (!walk->count || begin != walk->end || !offset_in_page(begin))
		walk->count++;
	walk->end = begin + piece->bv_len;
	return walk->count - 1;
}

static blk_status_t gather(struct xpv_disk *disk, struct request *rq)
{
	struct disk_request *pdu = blk_mq_rq_to_pdu(rq);
	struct segment_walk walk = {};
	struct req_iterator iterator;
	struct bio_vec piece;

	rq_for_each_segment(piece, rq, iterator) {
		unsigned int before = walk.count;
		unsigned int i = walk_to(&walk, &piece);
		unsigned int first = piece.bv_offset >> SECTOR_SHIFT;
		struct page *page = piece.bv_page;

		/* Cannot happen: the queue limits exclude both. */
		if (unlikely(i >= disk->max_segments || (piece.bv_offset | piece.bv_len) & (SECTOR_SIZE - 1)))
			goto refuse;

		if (i == before) {
			pdu->bounce[i] = NULL;
			pdu->block.segment_count = i + 1;
		}
		if (unlikely(needs_bounce(page))) {
			if (i == before) {
				page = mempool_alloc(disk->bounce_pages, GFP_ATOMIC | __GFP_NOWARN);
				if (!page)
					goto no_memory;
				/* The backend can read the whole page. */
				clear_highpage(page);
				pdu->bounce[i] = page;
				pdu->bounced++;
			}
			page = pdu->bounce[i];
			if (rq_data_dir(rq) == WRITE)
				memcpy_page(page, piece.bv_offset, piece.bv_page, piece.bv_offset, piece.bv_len);
		}
		if (i == before) {
			pdu->segments[i].frame = (struct xpv_pfn){ page_to_pfn(page) };
			pdu->segments[i].first_sector = first;
		}
		pdu->segments[i].last_sector = first + (piece.bv_len >> SECTOR_SHIFT) - 1;
	}
	return BLK_STS_OK;

refuse:
	pr_err_ratelimited(KBUILD_MODNAME ": %s: I/O request violates the queue limits, failing it\n",
			   disk->gendisk->disk_name);
	free_bounce_pages(disk, pdu);
	return BLK_STS_IOERR;
no_memory:
	/* A retry will succeed: the pool is large enough for one request. */
	free_bounce_pages(disk, pdu);
	return BLK_STS_RESOURCE;
}

static void copy_from_bounce_pages(struct request *rq)
{
	struct disk_request *pdu = blk_mq_rq_to_pdu(rq);
	struct segment_walk walk = {};
	struct req_iterator iterator;
	struct bio_vec piece;

	rq_for_each_segment(piece, rq, iterator) {
		struct page *page = pdu->bounce[walk_to(&walk, &piece)];

		if (page)
			memcpy_page(piece.bv_page, piece.bv_offset, page, piece.bv_offset, piece.bv_len);
	}
}

/* ---- Requests ---- */

static blk_status_t disk_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *data)
{
	struct xpv_disk *disk = hctx->queue->queuedata;
	struct xpv_block_queue *queue = hctx->driver_data;
	struct request *rq = data->rq;
	struct disk_request *pdu = blk_mq_rq_to_pdu(rq);
	blk_status_t status;

	pdu->block.segment_count = 0;
	pdu->block.sector = blk_rq_pos(rq);
	switch (req_op(rq)) {
	case REQ_OP_READ:
		pdu->block.operation = XPV_BLOCK_READ;
		break;
	case REQ_OP_WRITE:
		pdu->block.operation = rq->cmd_flags & REQ_FUA ? XPV_BLOCK_WRITE_THROUGH : XPV_BLOCK_WRITE;
		break;
	case REQ_OP_FLUSH:
		pdu->block.operation = XPV_BLOCK_FLUSH;
		pdu->block.sector = 0;
		break;
	default:
		return BLK_STS_NOTSUPP;
	}
	if (pdu->block.operation != XPV_BLOCK_FLUSH) {
		status = gather(disk, rq);
		if (unlikely(status != BLK_STS_OK)) {
			/* This request may have been the last of a batch. */
			xpv_block_commit(queue);
			return status;
		}
	}

	/* Start it before it is submitted: it may complete immediately. */
	blk_mq_start_request(rq);
	switch (xpv_block_submit(queue, &pdu->block, data->last)) {
	case XPV_BLOCK_QUEUED:
		return BLK_STS_OK;
	case XPV_BLOCK_DONE:
		blk_mq_end_request(rq, BLK_STS_OK);
		return BLK_STS_OK;
	case XPV_BLOCK_BUSY:
		free_bounce_pages(disk, pdu);
		return BLK_STS_RESOURCE;
	case XPV_BLOCK_DEAD:
		break;
	}
	free_bounce_pages(disk, pdu);
	return BLK_STS_IOERR;
}

static void disk_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	xpv_block_commit(hctx->driver_data);
}

static void disk_complete_rq(struct request *rq)
{
	struct disk_request *pdu = blk_mq_rq_to_pdu(rq);

	if (unlikely(pdu->bounced)) {
		if (req_op(rq) == REQ_OP_READ && pdu->status == BLK_STS_OK)
			copy_from_bounce_pages(rq);
		free_bounce_pages(rq->q->queuedata, pdu);
	}
	blk_mq_end_request(rq, pdu->status);
}

/*
 * A request cannot be aborted: the backend uses its memory until it responds or
 * disconnects. But poll for the response, because an event may have been lost.
 */
static enum blk_eh_timer_return disk_timeout(struct request *rq)
{
	xpv_block_poll(rq->mq_hctx->driver_data);
	return blk_mq_request_completed(rq) ? BLK_EH_DONE : BLK_EH_RESET_TIMER;
}

size_t disk_request_size(unsigned int max_segments)
{
	struct disk_request *pdu;

	return struct_size(pdu, segments, max_segments) + max_segments * sizeof(*pdu->bounce);
}

static int disk_init_request(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_index,
			     unsigned int numa_node)
{
	struct disk_request *pdu = blk_mq_rq_to_pdu(rq);
	struct xpv_disk *disk = set->driver_data;

	memset(pdu, 0, disk_request_size(disk->max_segments));
	pdu->bounce = (struct page **)&pdu->segments[disk->max_segments];
	pdu->block.segments = pdu->segments;
	return 0;
}

static int disk_init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int index)
{
	struct xpv_disk *disk = driver_data;

	hctx->driver_data = disk->queues[index];
	return 0;
}

const struct blk_mq_ops disk_mq_ops = {
	.queue_rq = disk_queue_rq,
	.commit_rqs = disk_commit_rqs,
	.complete = disk_complete_rq,
	.timeout = disk_timeout,
	.init_request = disk_init_request,
	.init_hctx = disk_init_hctx,
};

static struct request *request_of(struct xpv_block_request *block)
{
	return blk_mq_rq_from_pdu(container_of(block, struct disk_request, block));
}

void xpv_disk_complete(struct xpv_block_request *requests)
{
	struct xpv_block_request *next;

	for (; requests; requests = next) {
		struct request *rq = request_of(requests);
		struct disk_request *pdu = blk_mq_rq_to_pdu(rq);

		/* Read `next` first: the request may be reused as soon as it completes. */
		next = requests->next;
		pdu->status = errno_to_blk_status(requests->error);
		blk_mq_complete_request(rq);
	}
}

void xpv_disk_requeue(struct xpv_disk *disk, struct xpv_block_request *requests)
{
	struct xpv_block_request *next;

	disk->requeued = true;
	for (; requests; requests = next) {
		next = requests->next;
		free_bounce_pages(disk, container_of(requests, struct disk_request, block));
		blk_mq_requeue_request(request_of(requests), false);
	}
}
