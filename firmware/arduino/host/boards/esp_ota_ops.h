#pragma once

struct esp_partition_t {
  char label[17];
};
const esp_partition_t* esp_ota_get_running_partition();
int esp_ota_mark_app_valid_cancel_rollback();
