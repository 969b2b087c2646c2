// How our services are built from generated ones: raw and typed handlers of one
// method would hide each other, so each is put on by itself.
#pragma once

namespace attn {

// A service whose methods are put on one by one: generated code has a template
// for each.
template <typename Service, template <typename> class... Methods>
struct ServiceWith {
  using Type = Service;
};
template <typename Service, template <typename> class Method,
          template <typename> class... Others>
struct ServiceWith<Service, Method, Others...> {
  using Type = Method<typename ServiceWith<Service, Others...>::Type>;
};

}  // namespace attn
