/* SPDX-License-Identifier: GPL-2.0-only */
/* Intrusive doubly linked list: an element carries its link, so linking cannot fail. */
#pragma once

namespace xpv {

/*
 * Derive an element from ListLink<Tag> for each list it may be in. linked()
 * returns whether it is in one. The lock of the list guards the link.
 */
template <typename Tag = void>
class ListLink {
public:
	constexpr ListLink() = default;
	ListLink(const ListLink &) = delete;
	ListLink &operator=(const ListLink &) = delete;

	[[nodiscard]] bool linked() const { return next_ != nullptr; }
	void unlink()
	{
		if (!linked())
			return;
		next_->previous_ = previous_;
		previous_->next_ = next_;
		next_ = previous_ = nullptr;
	}

private:
	template <typename, typename>
	friend class List;
	ListLink *next_ = nullptr;
	ListLink *previous_ = nullptr;
};

template <typename T, typename Tag = void>
class List {
	using Link = ListLink<Tag>;

public:
	constexpr List() { clear(); }
	List(const List &) = delete;
	List &operator=(const List &) = delete;

	[[nodiscard]] bool empty() const { return head_.next_ == &head_; }
	void push_back(T &element) { insert_before(head_, element); }
	void push_front(T &element) { insert_before(*head_.next_, element); }
	[[nodiscard]] T *front() { return empty() ? nullptr : static_cast<T *>(head_.next_); }
	[[nodiscard]] T *pop_front()
	{
		T *first = front();
		if (first)
			static_cast<Link *>(first)->unlink();
		return first;
	}
	/* Move everything from `other` to the end of this one. */
	void take_all(List &other)
	{
		while (T *element = other.pop_front())
			push_back(*element);
	}

	/* Continues safely when the current element is unlinked during the iteration. */
	class Iterator {
	public:
		explicit Iterator(Link *at) : at_(at), next_(at->next_) {}
		T &operator*() const { return *static_cast<T *>(at_); }
		Iterator &operator++()
		{
			at_ = next_;
			next_ = at_->next_;
			return *this;
		}
		bool operator!=(const Iterator &other) const { return at_ != other.at_; }

	private:
		Link *at_;
		Link *next_;
	};
	Iterator begin() { return Iterator(head_.next_); }
	Iterator end() { return Iterator(&head_); }

private:
	constexpr void clear() { head_.next_ = head_.previous_ = &head_; }
	void insert_before(Link &at, Link &element)
	{
		element.next_ = &at;
		element.previous_ = at.previous_;
		at.previous_->next_ = &element;
		at.previous_ = &element;
	}

	Link head_;
};

} // namespace xpv
